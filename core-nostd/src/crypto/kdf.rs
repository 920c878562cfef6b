//! The one table of labels, and the derivations that use it.
//!
//! ```text
//! X3DH:  FF*32 ‖ DH1 ‖ DH2 ‖ DH3 [‖ DH4] ──HKDF(SESSION ‖ transcript)──> root ‖ header key ‖ next header key ‖ session id
//!        DH2 ──HKDF(IDENTITY ‖ …)──> key ‖ nonce of the sealed sender
//! root ‖ DH ──HKDF(STEP ‖ direction)──> root' ‖ chain key ‖ next header key
//! chain key ──HMAC(01)──> message key        ──HMAC(02)──> chain key'
//! message key, salt ──HKDF(MESSAGE ‖ direction)──> key ‖ nonce ‖ commitment
//! header key, salt ‖ body tag ──HKDF(HEADER ‖ direction)──> key ‖ nonce
//! ```

use hkdf::{GenericHkdf, HmacImpl};
use hmac::{
    Hmac,
    digest::{Output, OutputSizeUser},
};
use sha2::{Digest as _, Sha256};

/// Labels. Each is used in one place only; together they keep every derivation apart.
pub mod label {
    /// Address of two identity keys. PROTOCOL 2.1
    pub const ADDRESS: &[u8] = b"hushwire v1 address";
    /// Safety number of two identities. PROTOCOL 2.2
    pub const FINGERPRINT: &[u8] = b"hushwire v1 fingerprint";
    /// Signature over a prekey bundle. PROTOCOL 4.1
    pub const BUNDLE: &[u8] = b"hushwire v1 bundle";
    /// Prologue of the link. PROTOCOL 3.1
    pub const LINK: &[u8] = b"hushwire link";
    /// Transcript of a session start. PROTOCOL 5.3
    pub const TRANSCRIPT: &[u8] = b"hushwire v1 transcript";
    /// First keys of a session. PROTOCOL 5.4
    pub const SESSION: &[u8] = b"hushwire v1 session";
    /// The key that seals the sender's identity. PROTOCOL 5.2
    pub const IDENTITY: &[u8] = b"hushwire v1 sender";
    /// Short name of the key that made a session. PROTOCOL 5.5
    pub const START: &[u8] = b"hushwire v1 start";
    /// Diffie-Hellman ratchet step. PROTOCOL 6.1
    pub const STEP: &[u8] = b"hushwire v1 step";
    /// Body of a message. PROTOCOL 6.3
    pub const MESSAGE: &[u8] = b"hushwire v1 message";
    /// Header of a message. PROTOCOL 6.4
    pub const HEADER: &[u8] = b"hushwire v1 header";
    /// A record of state at rest. PROTOCOL 8.1
    pub const RECORD: &[u8] = b"hushwire v1 record";
    /// A record on flash, under an epoch's key. PROTOCOL 8.3
    pub const ITEM: &[u8] = b"hushwire v1 item";
    /// Identity keys out of a restore phrase. PROTOCOL 2.3
    pub const RESTORE: &[u8] = b"hushwire v1 restore";
}

/// Which way a key encrypts: part of every derivation, so that nothing reflected ever opens.
///
/// Zero is no direction, and as four bytes no field of a session has more values to spare: so `None`
/// for a session is all zeros, and a static table of them costs a chip no flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// From the session's initiator to its responder.
    FromInitiator = 1,
    /// From the session's responder to its initiator.
    FromResponder = 2,
}

impl Direction {
    /// The byte in labels and associated data.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::FromInitiator => 0x01,
            Self::FromResponder => 0x02,
        }
    }

    /// The other way.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::FromInitiator => Self::FromResponder,
            Self::FromResponder => Self::FromInitiator,
        }
    }
}

/// SHA-256 over parts in order.
// Called in many places: once in flash, and its state is on the stack only while it runs.
#[inline(never)]
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA256 with its steps out of line: HKDF and HMAC share them, where the crates' generic code
/// would be there once for each.
#[derive(Clone)]
struct Mac(Hmac<Sha256>);

impl OutputSizeUser for Mac {
    type OutputSize = <Hmac<Sha256> as OutputSizeUser>::OutputSize;
}

impl HmacImpl for Mac {
    #[inline(never)]
    fn new_from_slice(key: &[u8]) -> Self {
        Self(HmacImpl::new_from_slice(key))
    }

    #[inline(never)]
    fn update(&mut self, data: &[u8]) {
        HmacImpl::update(&mut self.0, data);
    }

    #[inline(never)]
    fn finalize(self) -> Output<Self> {
        HmacImpl::finalize(self.0)
    }
}

impl Mac {
    fn over(mut self, parts: &[&[u8]]) -> [u8; 32] {
        parts.iter().for_each(|part| self.update(part));
        self.finalize().into()
    }
}

/// HMAC-SHA256 over parts in order (RFC 2104).
#[must_use]
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    Mac::new_from_slice(key).over(parts)
}

/// [`hmac`] of two inputs under one key, which is taken in once: six blocks instead of eight.
#[cfg(feature = "e2ee")]
#[must_use]
pub(crate) fn hmac_twice(key: &[u8; 32], inputs: [&[u8]; 2]) -> [[u8; 32]; 2] {
    let keyed = Mac::new_from_slice(key);
    inputs.map(|input| keyed.clone().over(&[input]))
}

/// HKDF-SHA256 (RFC 5869): extract with `salt`, expand with `info` (parts in order) into `out`.
///
/// `out` may be up to 255 * 32 bytes; everything here is far below.
#[inline(never)]
pub fn hkdf(salt: &[u8], input: &[u8], info: &[&[u8]], out: &mut [u8]) {
    if GenericHkdf::<Mac>::new(Some(salt), input)
        .expand_multi_info(info, out)
        .is_err()
    {
        out.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::label::*;

    #[test]
    fn no_label_begins_another() {
        let all: [&[u8]; 14] = [
            ADDRESS,
            FINGERPRINT,
            BUNDLE,
            LINK,
            TRANSCRIPT,
            SESSION,
            IDENTITY,
            START,
            STEP,
            MESSAGE,
            HEADER,
            RECORD,
            ITEM,
            RESTORE,
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert!(i == j || !a.starts_with(b), "{i} begins with {j}");
            }
        }
    }
}
