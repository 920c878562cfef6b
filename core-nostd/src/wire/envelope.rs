//! An envelope, device to device, as everybody sees it. PROTOCOL 5.1, 6.2
//!
//! ```text
//! message:  version ‖ suite ‖ 01 ‖ ratchet part
//! start:    version ‖ suite ‖ 02 ‖ EK 33 ‖ signed prekey id u32 ‖ one-time prekey id u32
//!                                ‖ sealed sender (IKs ‖ IKd ‖ largest body u16) 68 ‖ tag 16 ‖ ratchet part
//! start without one-time prekey: the same with kind 03 and id 0
//! ratchet part:  salt 16 ‖ commitment 16 ‖ sealed header 41 ‖ tag 16 ‖ sealed body ‖ tag 16
//! body:     kind u8 ‖ message id 16 ‖ length u16 ‖ user data padded with zeros to a bucket
//! ```

use super::{Reader, SUITE, VERSION, WireError};
use crate::{
    crypto::{PublicKey, aead::TAG_LEN},
    identity::IdentityPublic,
    limits::{BASE_BODY, BUCKETS, MAX_BODY},
};

/// Length of the hedging salt.
pub const SALT_LEN: usize = 16;
/// Length of the key commitment.
pub const COMMITMENT_LEN: usize = 16;
/// Length of a header: ratchet key ‖ PN u32 ‖ N u32.
pub const HEADER_LEN: usize = PublicKey::LEN + 4 + 4;
/// Length of what stands before the user data inside a body.
pub const INNER_LEN: usize = 1 + 16 + 2;
/// Length of version, suite and kind.
pub const CLEAR_LEN: usize = 3;
/// Length of what the sealed sender holds.
pub const SENDER_LEN: usize = IdentityPublic::LEN + 2;
/// Bytes that a start carries between its kind and its ratchet part.
pub const START_LEN: usize = PublicKey::LEN + 4 + 4 + SENDER_LEN + TAG_LEN;
/// Bytes that a message is longer than its padded user data.
pub const OVERHEAD: usize =
    CLEAR_LEN + SALT_LEN + COMMITMENT_LEN + HEADER_LEN + TAG_LEN + INNER_LEN + TAG_LEN;

const _: () = {
    assert!(MAX_BODY + OVERHEAD + START_LEN <= crate::limits::MAX_ENVELOPE);
    // A device that states records of 1400 bytes can be given any message that it takes: a frame's
    // length, a delivery's head, the largest start, the record's tag.
    assert!(2 + 37 + BASE_BODY + OVERHEAD + START_LEN + TAG_LEN <= 1400);
};

/// The smallest bucket that holds `len` bytes of user data.
#[must_use]
pub fn bucket(len: usize) -> Option<usize> {
    BUCKETS.into_iter().find(|bucket| *bucket >= len)
}

/// What stands before a ratchet part.
#[derive(Clone, Copy, Debug)]
pub enum Opening<'a> {
    /// A message of a running session.
    Message,
    /// A message that also starts its session.
    Start(Start<'a>),
}

/// The clear part of a session start.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The initiator's ephemeral key, unchecked.
    pub ephemeral: &'a [u8; PublicKey::LEN],
    /// Which of the recipient's signed prekeys.
    pub signed_prekey_id: u32,
    /// Which of its one-time prekeys, if one.
    pub one_time_prekey_id: Option<u32>,
    /// The sender's keys and largest body under the sender key.
    pub sender: &'a [u8; SENDER_LEN],
    /// Their tag.
    pub tag: &'a [u8; TAG_LEN],
}

/// Kinds of envelopes.
pub mod kind {
    /// A message of a running session.
    pub const MESSAGE: u8 = 0x01;
    /// A start with a one-time prekey.
    pub const START: u8 = 0x02;
    /// A start without.
    pub const START_WITHOUT: u8 = 0x03;
}

/// An envelope cut into its parts. Nothing in it is authenticated yet.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Start or message.
    pub opening: Opening<'a>,
    /// Length of everything before the salt.
    pub prefix_len: usize,
}

impl<'a> Envelope<'a> {
    /// Cuts an envelope into its parts.
    ///
    /// # Errors
    /// [`WireError`] for every length that no bucket gives, and for unknown versions, suites, kinds.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(WireError::Version);
        }
        if r.u8()? != SUITE {
            return Err(WireError::Suite);
        }
        let (opening, prefix_len) = match r.u8()? {
            kind::MESSAGE => (Opening::Message, CLEAR_LEN),
            kind @ (kind::START | kind::START_WITHOUT) => {
                let (ephemeral, signed_prekey_id) = (r.array()?, r.u32()?);
                let one_time_prekey_id = match (kind, r.u32()?) {
                    (kind::START, id @ 1..) => Some(id),
                    (kind::START_WITHOUT, 0) => None,
                    _ => return Err(WireError::Value),
                };
                let start = Start {
                    ephemeral,
                    signed_prekey_id,
                    one_time_prekey_id,
                    sender: r.array()?,
                    tag: r.array()?,
                };
                (Opening::Start(start), CLEAR_LEN + START_LEN)
            }
            _ => return Err(WireError::Unknown),
        };
        let user = (r.remaining() + CLEAR_LEN)
            .checked_sub(OVERHEAD)
            .ok_or(WireError::Length)?;
        if user > MAX_BODY || bucket(user) != Some(user) {
            return Err(WireError::Length);
        }
        Ok(Self {
            opening,
            prefix_len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bucket_lengths_parse() {
        let mut bytes = std::vec![0x5a; 16_384 + 600];
        bytes[0] = VERSION;
        bytes[1] = SUITE;
        for (kind, extra) in [(kind::MESSAGE, 0), (kind::START, START_LEN)] {
            bytes[2] = kind;
            for len in 0..bytes.len() {
                let lawful = BUCKETS
                    .iter()
                    .any(|bucket| len == bucket + OVERHEAD + extra);
                assert_eq!(
                    Envelope::parse(&bytes[..len]).is_ok(),
                    lawful,
                    "{kind} {len}"
                );
            }
        }
    }
}
