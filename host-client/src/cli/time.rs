//! Times for people and programs.

use jiff::{Span, Timestamp, Zoned, civil, tz::TimeZone};

use super::exit::{Code, Failure};

fn zoned(ms: u64) -> Option<Zoned> {
    let at = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(at.to_zoned(TimeZone::system()))
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn iso(ms: u64) -> String {
    let at = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}

/// Date and time on the wall here, from what [`iso`] wrote.
pub(super) fn local(iso: &str) -> String {
    let ms = iso
        .parse::<Timestamp>()
        .ok()
        .and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let at = ms.and_then(zoned);
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// What a user means by `--since`: a date, a date and time, or a span back. Milliseconds since 1970.
pub(super) fn since(text: &str) -> Result<u64, Failure> {
    let here = TimeZone::system();
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        Some(at)
    } else if let Ok(at) = text.parse::<civil::DateTime>() {
        at.to_zoned(here).ok().map(|at| at.timestamp())
    } else if let Ok(span) = text.parse::<Span>() {
        Zoned::now()
            .checked_sub(span.abs())
            .ok()
            .map(|at| at.timestamp())
    } else {
        None
    };
    let ms = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    ms.ok_or_else(|| {
        let sentence =
            format!("{text} is no date; write 2026-11-23, 2026-11-23T10:00, 3d or 2h 30m");
        Failure::new(Code::Malformed, sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_spans_read() {
        assert_eq!(since("2026-11-23T10:00:00Z").unwrap(), 1_795_428_000_000);
        assert_eq!(since("2026-11-23").unwrap() % 60_000, 0);
        assert!(since("2026-11-23T10:00").is_ok());
        assert!(since("3d").unwrap() < since("2h 30m").unwrap());
        assert_eq!(since("yesterday-ish").unwrap_err().code, Code::Malformed);
        assert_eq!(iso(1_795_428_000_000), "2026-11-23T10:00:00.000Z");
        assert_eq!(local(&iso(1_795_428_000_000)).len(), 16);
    }
}
