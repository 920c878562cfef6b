//! C2 on the device: the transcript that the host's test froze, played by the same code.

#[path = "../../../../core-nostd/tests/common/frozen.rs"]
mod player;

use hushwire_core::crypto::P256;

static FROZEN: &str = include_str!("../../../../core-nostd/tests/c2_frozen_transcript.txt");

pub(crate) fn replay(curve: impl P256 + Copy) -> usize {
    let mut lines = FROZEN.lines();
    let mut count = 0;
    player::play(curve, |name, bytes| {
        let line = lines.next().expect("a line for each piece");
        let (frozen, hex) = line.split_once(": ").expect("a name");
        let digits = hex.as_bytes().chunks(2);
        let same = digits.len() == bytes.len()
            && digits.zip(bytes).all(|(two, byte)| {
                let text = str::from_utf8(two).unwrap_or_default();
                u8::from_str_radix(text, 16) == Ok(*byte)
            });
        assert!(frozen == name && same, "line {count}: {name}");
        count += 1;
    });
    assert!(lines.next().is_none(), "the frozen transcript is longer");
    count
}
