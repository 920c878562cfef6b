//! What happened, as lines of text in a ring: the console prints them as they come and again on
//! `log`. RAM only: a restart forgets them.

use core::fmt;

use crate::text::{Foreign, LINE, Line, set};

/// Bytes of text that are kept.
const KEPT: usize = 768;

/// See the module. Lines end with a line feed, which no line has inside.
pub struct Log {
    ring: [u8; KEPT],
    /// Bytes ever written: the ring holds the last [`KEPT`] of them.
    end: u32,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(u32);

impl Log {
    /// Nothing happened yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ring: [0; KEPT],
            end: 0,
        }
    }

    /// Notes a line: seconds since power on in front.
    pub fn note(&mut self, uptime: u64, text: fmt::Arguments<'_>) {
        let mut line = Line::new();
        set(&mut line, format_args!("{} {text}", uptime / 1000));
        for byte in line.bytes().chain([b'\n']) {
            self.ring[self.end as usize % KEPT] = byte;
            self.end = self.end.wrapping_add(1);
        }
    }

    /// Before the oldest line that is kept.
    #[must_use]
    pub const fn oldest(&self) -> Cursor {
        Cursor(self.end.saturating_sub(KEPT as u32))
    }

    /// Behind the newest line.
    #[must_use]
    pub const fn newest(&self) -> Cursor {
        Cursor(self.end)
    }

    /// The next line. `false`: the cursor has come to the end.
    pub fn next(&self, cursor: &mut Cursor, line: &mut Line) -> bool {
        let kept = self.end.wrapping_sub(cursor.0) as usize;
        if kept > KEPT {
            *cursor = self.oldest();
        }
        // Of what was overwritten at its beginning, the rest of the line is skipped.
        if self.end as usize > KEPT && *cursor == self.oldest() {
            while *cursor != self.newest() && self.byte(cursor) != b'\n' {}
        }
        let mut bytes = heapless::Vec::<u8, LINE>::new();
        while *cursor != self.newest() {
            match self.byte(cursor) {
                b'\n' => {
                    set(line, format_args!("{}", Foreign(&bytes)));
                    return true;
                }
                // Never longer than a line.
                byte => drop(bytes.push(byte)),
            }
        }
        false
    }

    const fn byte(&self, cursor: &mut Cursor) -> u8 {
        let byte = self.ring[cursor.0 as usize % KEPT];
        cursor.0 = cursor.0.wrapping_add(1);
        byte
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({} bytes)", self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::{format, string::String, vec::Vec};

    use super::*;

    fn rest(log: &Log, mut cursor: Cursor) -> Vec<String> {
        let mut line = Line::new();
        let next = || {
            log.next(&mut cursor, &mut line)
                .then(|| line.as_str().into())
        };
        core::iter::from_fn(next).collect()
    }

    #[test]
    fn lines_come_out_once_and_again_from_the_oldest() {
        let mut log = Log::new();
        assert!(rest(&log, log.oldest()).is_empty());
        log.note(1999, format_args!("one"));
        let after = log.newest();
        log.note(61_000, format_args!("two\nforged"));
        assert_eq!(rest(&log, after), ["61 two.forged"]);
        assert_eq!(rest(&log, log.oldest()), ["1 one", "61 two.forged"]);
        assert!(rest(&log, log.newest()).is_empty());
    }

    #[test]
    fn who_is_too_slow_gets_whole_lines_still() {
        let mut log = Log::new();
        let start = log.newest();
        for n in 0..200 {
            log.note(0, format_args!("line {n} {:1$}", "", n % 90));
            let lines = rest(&log, start);
            assert!(
                lines.iter().all(|line| line.starts_with("0 line ")),
                "{lines:?}"
            );
            assert_eq!(lines.last().unwrap().trim_end(), format!("0 line {n}"));
        }
        log.note(0, format_args!("{:900}", "long"));
        assert_eq!(rest(&log, start).last().unwrap().len(), LINE);
    }
}
