//! A code to scan, drawn with half blocks: two rows of modules in one of text.

use core::fmt::Write as _;

use qrcodegen_no_heap::{Mask, QrCode, QrCodeEcc, Version};

use crate::text::Line;

/// Enough for a contact card: 192 bytes at the lowest error correction.
const LARGEST: Version = Version::new(8);
/// Modules of white around the code, on each side. ISO/IEC 18004 asks for four; two suffice on a
/// dark terminal, where nothing else is bright.
const QUIET: i32 = 2;

/// Draws row `row` (of text) of the code of `text`. `false`: there is none, or the text is too long.
///
/// The code is made anew for each row, so that none waits in memory between two of them; always under
/// the mask of a chessboard, since to look for the best one takes eight times as long.
pub(super) fn row(text: &str, row: i32, line: &mut Line) -> bool {
    let (mut scratch, mut buffer) = ([0; LARGEST.buffer_len()], [0; LARGEST.buffer_len()]);
    let (low, min, mask) = (QrCodeEcc::Low, Version::MIN, Some(Mask::new(0)));
    line.clear();
    if text.len() > scratch.len() {
        return false;
    }
    scratch[..text.len()].copy_from_slice(text.as_bytes());
    let code = QrCode::encode_binary(
        &mut scratch,
        text.len(),
        &mut buffer,
        low,
        min,
        LARGEST,
        mask,
        false,
    );
    let Ok(code) = code else { return false };
    draw(&code, row, line)
}

fn draw(code: &QrCode<'_>, row: i32, line: &mut Line) -> bool {
    let size = code.size();
    let top = 2 * row - QUIET;
    if top >= size + QUIET {
        return false;
    }
    // White shines on a dark terminal: the code is drawn by what is not dark.
    let white = |x, y| y < size + QUIET && !code.get_module(x, y);
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
        let (mut line, mut rows) = (Line::new(), Vec::new());
        while row(&card, rows.len() as i32, &mut line) {
            rows.push(String::from(line.as_str()));
        }
        let (mut scratch, mut buffer) = ([0; LARGEST.buffer_len()], [0; LARGEST.buffer_len()]);
        scratch[..card.len()].copy_from_slice(card.as_bytes());
        let (low, mask) = (QrCodeEcc::Low, Some(Mask::new(0)));
        let code = QrCode::encode_binary(
            &mut scratch,
            card.len(),
            &mut buffer,
            low,
            Version::MIN,
            LARGEST,
            mask,
            false,
        )
        .unwrap();
        let size = code.size();
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
                assert_eq!(white, !code.get_module(x, y), "{x} {y}");
            }
        }
        assert!(!row(&"x".repeat(193), 0, &mut line));
        assert!(!row(&"x".repeat(2000), 0, &mut line));
    }
}
