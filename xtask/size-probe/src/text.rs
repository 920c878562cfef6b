//! What is shown to people and typed by them. A device without a screen links none of it.

use core::fmt::{self, Write};
use core::hint::black_box;

use hushwire_core::crypto::Software;
use hushwire_core::fingerprint::SafetyNumber;
use hushwire_core::identity::{Address, IdentityPublic};

use crate::input::{array, bytes};

/// Addresses in bech32m, safety numbers and what their QR code carries.
#[inline(never)]
pub fn exercise() -> Option<()> {
    let us = IdentityPublic::parse(&mut Software, &array()).ok()?;
    let peer = IdentityPublic::parse(&mut Software, &array()).ok()?;
    let number = SafetyNumber::new(&us, &peer);
    write!(Discard, "{} {number}", peer.address()).ok()?;
    number.write_qr(&mut Discard).ok()?;
    black_box(
        core::str::from_utf8(bytes())
            .ok()?
            .parse::<Address>()
            .ok()?,
    );
    Some(())
}

/// A display that keeps nothing.
struct Discard;

impl Write for Discard {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}
