//! Text for people, in fixed buffers: what does not fit is cut off, what would move the cursor is
//! shown as a dot.

use core::fmt::{self, Write};

use heapless::String;

/// Longest line that is printed, in bytes.
pub const LINE: usize = 240;

/// A line for the console.
pub type Line = String<LINE>;

/// Writes into a string until it is full, and drops the rest. Control characters, which could
/// pretend to be another line or drive a terminal, become dots.
#[derive(Debug)]
pub struct Cut<'a, const N: usize>(pub &'a mut String<N>);

impl<const N: usize> Write for Cut<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            let shown = if char.is_control() { '.' } else { char };
            // Full: the rest is dropped.
            if self.0.push(shown).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Bytes of somebody else's, shown as text.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a>(pub &'a [u8]);

impl fmt::Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

/// Sets a line to formatted text.
pub fn set(line: &mut Line, text: fmt::Arguments<'_>) {
    line.clear();
    add(line, text);
}

/// Adds formatted text to a line.
pub fn add<const N: usize>(line: &mut String<N>, text: fmt::Arguments<'_>) {
    // `Cut` never fails, and what is shown here has no error of its own.
    let _ = Cut(line).write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_tamed() {
        let mut line = Line::new();
        set(&mut line, format_args!("a\r\n# forged\x1b[2J\u{9b}é"));
        assert_eq!(line, "a..# forged.[2J.é");
        set(&mut line, format_args!("{:0300}", 7));
        assert_eq!(line.len(), LINE);
        set(&mut line, format_args!("{}", Foreign(b"ok\xff\xfe end")));
        assert_eq!(line, "ok?? end");
    }
}
