//! A code to scan, drawn with half blocks: two rows of modules in one of text.

use core::fmt::Write as _;

use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};

use crate::text::Line;

/// Enough for a contact card: 154 bytes at the lowest error correction.
const LARGEST: Version = Version::new(8);
/// Bytes of a code of that size.
pub(super) const BUFFER: usize = LARGEST.buffer_len();
/// Modules of white around the code, on each side. ISO/IEC 18004 asks for four; two suffice on a
/// dark terminal, where nothing else is bright.
const QUIET: i32 = 2;

/// A code, ready to be drawn.
pub(super) struct Code<'a>(QrCode<'a>);

impl<'a> Code<'a> {
    /// The code of a text. `None`: the text is too long.
    pub(super) fn of(text: &str, buffer: &'a mut [u8; BUFFER]) -> Option<Self> {
        let mut scratch = [0; BUFFER];
        let (low, min) = (QrCodeEcc::Low, Version::MIN);
        QrCode::encode_text(text, &mut scratch, buffer, low, min, LARGEST, None, true)
            .ok()
            .map(Self)
    }

    /// Writes row `row` of text. `false`: there is none.
    pub(super) fn row(&self, row: i32, line: &mut Line) -> bool {
        let size = self.0.size();
        line.clear();
        let top = 2 * row - QUIET;
        if top >= size + QUIET {
            return false;
        }
        // White shines on a dark terminal: the code is drawn by what is not dark.
        let white = |x, y| y < size + QUIET && !self.0.get_module(x, y);
        for x in -QUIET..size + QUIET {
            let char = match (white(x, top), white(x, top + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            };
            // 53 characters of three bytes.
            let _ = line.write_char(char);
        }
        true
    }
}

impl core::fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Code({} modules)", self.0.size())
    }
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use super::*;

    #[test]
    fn a_card_fits_and_the_drawing_is_the_code() {
        let card = std::format!(
            "hush://255.255.255.255:65535/#{}/hush1{}",
            "0".repeat(66),
            "q".repeat(38)
        );
        let mut buffer = [0; BUFFER];
        let code = Code::of(&card, &mut buffer).unwrap();
        let mut line = Line::new();
        let mut rows = Vec::new();
        while code.row(rows.len() as i32, &mut line) {
            rows.push(String::from(line.as_str()));
        }
        let size = code.0.size();
        assert_eq!(rows.len() as i32, (size + 2 * QUIET + 1) / 2);
        for y in 0..size {
            for x in 0..size {
                let char = rows[((y + QUIET) / 2) as usize]
                    .chars()
                    .nth((x + QUIET) as usize);
                let white = match (y + QUIET) % 2 {
                    0 => matches!(char, Some('█' | '▀')),
                    _ => matches!(char, Some('█' | '▄')),
                };
                assert_eq!(white, !code.0.get_module(x, y), "{x} {y}");
            }
        }
        assert!(Code::of(&"x".repeat(193), &mut buffer).is_none());
    }
}
