//! Everything that crosses a wire: bytes in, checked values out, and back. No secret lives here.
//!
//! Integers are big-endian. A parser takes exactly one object: a byte too few or too many is
//! refused. Versions and suites come first and unknown ones are refused.

pub mod answer;
pub mod bundle;
mod cursor;
pub mod envelope;
pub mod frame;
pub mod id;
pub mod invite;
pub mod reason;
pub mod request;

pub(crate) use cursor::{Reader, Writer};
pub use id::{EnvelopeId, MessageId};

/// The protocol's version: the first byte of everything.
pub const VERSION: u8 = 0x01;
/// Suite 0x01: P-256, HKDF-SHA256, AES-256-GCM.
pub const SUITE: u8 = 0x01;

/// Why bytes from a peer do not parse. The peer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// Too few bytes, too many, or a length that the object cannot have.
    Length,
    /// A version that this build does not speak.
    Version,
    /// A suite that this build does not speak.
    Suite,
    /// An opcode or kind that does not exist.
    Unknown,
    /// A field with a value that it cannot have.
    Value,
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Length => "wrong length",
            Self::Version => "unknown protocol version",
            Self::Suite => "unknown suite",
            Self::Unknown => "unknown kind",
            Self::Value => "a field has a value that it cannot have",
        })
    }
}

impl core::error::Error for WireError {}
