//! C2: a handshake and 64 messages give the committed bytes, here and on a device
//! (`cargo xtask test` plays the same file in QEMU, over each P-256 backend).
//!
//! The bytes change only with the protocol. `HUSHWIRE_FREEZE=1` writes them anew.

#[path = "common/frozen.rs"]
mod frozen;

use std::{fmt::Write as _, fs, path::Path};

use hushwire_core::crypto::Software;

#[test]
fn the_transcript_is_as_it_was_frozen() {
    let mut text = String::new();
    frozen::play(Software, |name, bytes| {
        writeln!(text, "{name}: {}", hex::encode(bytes)).unwrap();
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c2_frozen_transcript.txt");
    if std::env::var_os("HUSHWIRE_FREEZE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let frozen = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3 + 1 + 64 + 2);
    for (number, (now, then)) in text.lines().zip(frozen.lines()).enumerate() {
        assert!(
            now == then,
            "line {number}:\n  now    {now}\n  frozen {then}"
        );
    }
    assert_eq!(text.len(), frozen.len());
}
