//! Spans of time as people write them: `300s`, `10m`, `6h`, `21d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A span of time with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// What a span looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASpan;

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a number and its unit: s, m, h or d, as in 300s or 21d")
    }
}

impl std::error::Error for NotASpan {}

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let unit_s = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(NotASpan),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| NotASpan)?;
        number
            .checked_mul(unit_s)
            .map(Duration::from_secs)
            .map(Self)
            .ok_or(NotASpan)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        let seconds = |text: &str| text.parse::<Span>().map(|span| span.0.as_secs());
        assert_eq!(seconds("300s"), Ok(300));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("6h"), Ok(21_600));
        assert_eq!(seconds("21d"), Ok(1_814_400));
        for bad in [
            "",
            "s",
            "10",
            "-1s",
            "1w",
            "1.5h",
            "99999999999999999999d",
            "é",
        ] {
            assert_eq!(seconds(bad), Err(NotASpan), "{bad}");
        }
    }
}
