//! The link: Noise XK between a client and its relay, and the records inside it. PROTOCOL 3
//!
//! ```text
//! client (initiator)                                             relay (responder)
//! Initiator::new(relay's pinned key)
//!   write_message_1 ── preamble 5 ‖ u16 ‖ e, es ───────────────> Responder::greet, read_message_1
//! SentMessage1                                                   ReceivedMessage1
//!   read_message_2 <── u16 ‖ e, ee, limits ───────────────────── write_message_2
//! ReceivedMessage2                                               SentMessage2
//!   write_message_3 ── u16 ‖ s, se, IKs ‖ limits ──────────────> read_message_3
//! Transport                                                      Transport, the client's identity
//!   split ─> Sealer, Opener   <── u16 ‖ sealed record ──>        split ─> Sealer, Opener
//! ```
//!
//! `Noise_XK_P256_AESGCM_SHA256`: Noise revision 34, over P-256 as Noise libraries have it (65-byte
//! points, the x coordinate as result). The client knows the relay's key beforehand, so nobody can
//! stand in between; the relay learns the client's keys in the last message, encrypted, and computes
//! the client's address from them. Who holds `IKd` owns the mailbox.
//!
//! Nothing here reads or writes a socket. What is *written* comes with its u16 length in front, ready
//! to be sent; what is *read* is the message alone, as [`RecordReader`] or [`scan`] cut it out.
//!
//! ```
//! use hushwire_core::crypto::{KeyPair, Software};
//! use hushwire_core::identity::{IdentityKeys as _, SoftwareIdentity};
//! use hushwire_core::link::*;
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let rng = &mut ChaCha20Rng::from_seed([1; 32]);
//! let p256 = &mut Software;
//! let relay_key = KeyPair::generate(p256, rng)?;
//! let mut alice = SoftwareIdentity::generate(p256, rng)?;
//!
//! let mut first = [0; FLIGHT_1_LEN];
//! let client = Initiator::new(*relay_key.public(), LinkLimits::new(1400, 1382, 1)?)
//!     .write_message_1(p256, rng, &mut first)?;
//!
//! // The relay reads a stream into a buffer of its own.
//! let mut stream = RecordReader::new([0; 2048]);
//! stream.room()[..first.len()].copy_from_slice(&first);
//! stream.filled(first.len());
//! let greeted = Responder::greet(&stream.take().ok_or("more bytes")?)?;
//! let Next::Record(message) = stream.next_record(Bounds::exactly(MESSAGE_1_LEN))? else {
//!     return Err("more bytes".into());
//! };
//! let mut second = [0; FLIGHT_2_LEN];
//! let relay = greeted
//!     .read_message_1(p256, &relay_key, message)?
//!     .write_message_2(p256, rng, LinkLimits::new(u16::MAX, 17_000, 64)?, &mut second)?;
//!
//! let mut third = [0; FLIGHT_3_LEN];
//! let client = client
//!     .read_message_2(p256, &second[HEAD_ROOM..])?
//!     .write_message_3(p256, &mut alice, &mut third)?;
//! let (relay, who) = relay.read_message_3(p256, &third[HEAD_ROOM..])?;
//! assert_eq!(who.address(), alice.public().address());
//! assert_eq!(relay.peer_limits().window(), 1);
//!
//! let (mut to_relay, _) = client.split();
//! let (_, mut from_client) = relay.split();
//! let mut record = [0; HEAD_ROOM + 5 + TAIL_ROOM];
//! record[HEAD_ROOM..][..5].copy_from_slice(b"\0\x03\x0c\0\x07");
//! let len = to_relay.seal(&mut record, 5)?;
//! assert_eq!(from_client.open(&mut record[HEAD_ROOM..len])?, b"\0\x03\x0c\0\x07");
//! # Ok(()) }
//! ```

mod cipher;
mod error;
mod initiator;
mod limits;
mod record;
mod responder;
mod symmetric;
mod transport;

use crate::{
    crypto::{PublicKey, aead::TAG_LEN},
    wire::{SUITE, VERSION},
};

pub use cipher::{AesGcm, LinkCipher};
pub use error::{HandshakeError, OpenError, PreambleError, RecordError, SealError};
pub use initiator::{Initiator, ReceivedMessage2, SentMessage1};
pub use limits::{LimitsError, LinkLimits};
pub use record::{Bounds, Next, RecordReader, Scan, scan};
pub use responder::{ReceivedMessage1, Responder, SentMessage2};
pub use transport::{Opener, Sealer, Transport};

/// Pattern 0x01: Noise XK. Others are reserved (NK: anonymous submit).
pub const PATTERN_XK: u8 = 0x01;

/// A client's first bytes, in the clear, before any Noise message. PROTOCOL 3.1
pub const PREAMBLE: [u8; PREAMBLE_LEN] = [b'H', b'W', VERSION, SUITE, PATTERN_XK];
/// Length of the preamble in bytes.
pub const PREAMBLE_LEN: usize = 5;

/// Bytes that a record needs in front of its plaintext: the length.
pub const HEAD_ROOM: usize = 2;
/// Bytes that a record needs behind its plaintext: the tag.
pub const TAIL_ROOM: usize = TAG_LEN;

/// Length of an uncompressed point, the only kind in Noise messages: 04 ‖ x ‖ y.
const POINT_LEN: usize = 65;

/// Length of message 1: ephemeral point, tag of an empty payload.
pub const MESSAGE_1_LEN: usize = POINT_LEN + TAG_LEN;
/// Length of message 2: ephemeral point, sealed limits.
pub const MESSAGE_2_LEN: usize = POINT_LEN + LinkLimits::LEN + TAG_LEN;
/// Length of message 3: sealed static point, sealed signing key and limits.
pub const MESSAGE_3_LEN: usize = POINT_LEN + TAG_LEN + PAYLOAD_3_LEN + TAG_LEN;

const PAYLOAD_3_LEN: usize = PublicKey::LEN + LinkLimits::LEN;

/// Bytes that a client sends first: preamble, length, message 1.
pub const FLIGHT_1_LEN: usize = PREAMBLE_LEN + HEAD_ROOM + MESSAGE_1_LEN;
/// Bytes that a relay answers: length, message 2.
pub const FLIGHT_2_LEN: usize = HEAD_ROOM + MESSAGE_2_LEN;
/// Bytes that a client sends last: length, message 3.
pub const FLIGHT_3_LEN: usize = HEAD_ROOM + MESSAGE_3_LEN;

/// A length as it stands in front of a message or record.
const fn prefix(len: usize) -> [u8; HEAD_ROOM] {
    // Every caller's length is at most 65535.
    let [.., high, low] = len.to_be_bytes();
    [high, low]
}
