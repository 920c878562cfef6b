//! Why a link ends. Each variant says who is at fault.

use core::fmt;

use super::LimitsError;
use crate::{crypto::CryptoError, wire::WireError};

macro_rules! sentences {
    ($($error:ident { $($variant:ident => $text:literal,)+ })+) => {$(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl core::error::Error for $error {}
    )+};
}

/// Why a relay hangs up after the first five bytes. The client is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreambleError {
    /// Another protocol: not `HW`.
    NotHushwire,
    /// A version that this build does not speak.
    Version,
    /// A suite that this build does not speak.
    Suite,
    /// A Noise pattern that this build does not speak.
    Pattern,
}

/// Why a handshake fails. It cannot be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// A message has another length than the pattern gives it. The peer is at fault.
    Length,
    /// A point is off the curve or not canonical, or both identity keys are one. The peer is at
    /// fault.
    InvalidKey,
    /// The peer shows a key of ours. The peer is at fault (or the configuration: a relay whose key
    /// is the client's own).
    OwnKey,
    /// The peer's limits carry nothing useful. The peer is at fault.
    Limits(LimitsError),
    /// The message does not verify. Opaque: a wrong key, an altered byte, somebody in between.
    Refused,
    /// The accelerator or secure element failed. This device is at fault.
    Backend,
}

/// Why a length prefix is refused. Nothing after it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordError {
    /// Shorter than anything that could be meant. The peer is at fault.
    TooShort,
    /// Longer than this side said that it takes. The peer is at fault.
    TooLong,
    /// The caller's buffer is smaller than what it said that it takes. This side is at fault.
    Buffer,
}

/// Why a record is not sealed. The caller is at fault; no nonce was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// No frame fits into so short a record.
    TooShort,
    /// The record is longer than the peer takes.
    TooLong,
    /// The buffer has no room for the length in front and the tag behind.
    Buffer,
    /// This key sealed 2^64 - 1 records: the link has to be made anew.
    Exhausted,
}

/// Why a record is not opened. The half is dead after any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The record has a length that this side does not take. The peer is at fault.
    Length,
    /// The record does not verify. Opaque.
    Refused,
    /// This key opened 2^64 - 1 records: the link has to be made anew.
    Exhausted,
    /// An earlier record failed. The caller is at fault: the link had to be closed then.
    Dead,
}

sentences! {
    PreambleError {
        NotHushwire => "the peer does not speak Hushwire",
        Version => "the peer speaks an unknown version of the protocol",
        Suite => "the peer asks for an unknown suite",
        Pattern => "the peer asks for an unknown kind of link",
    }
    RecordError {
        TooShort => "a record is too short to carry anything",
        TooLong => "a record is longer than this side takes",
        Buffer => "the buffer is smaller than the longest record",
    }
    SealError {
        TooShort => "a record must carry at least one frame",
        TooLong => "the record is longer than the peer takes",
        Buffer => "the buffer has no room for length and tag",
        Exhausted => "the link's key is used up",
    }
    OpenError {
        Length => "a record has a length that this side does not take",
        Refused => "a record does not verify",
        Exhausted => "the link's key is used up",
        Dead => "the link failed before",
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("a handshake message has a wrong length"),
            Self::InvalidKey => f.write_str("the peer sent an invalid key"),
            Self::OwnKey => f.write_str("the peer shows this side's own key"),
            Self::Limits(error) => write!(f, "the peer's limits make no sense: {error}"),
            Self::Refused => f.write_str("the handshake does not verify: wrong key or altered"),
            Self::Backend => f.write_str("the P-256 backend failed"),
        }
    }
}

impl core::error::Error for HandshakeError {}

impl From<CryptoError> for HandshakeError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::InvalidKey => Self::InvalidKey,
            CryptoError::BadSignature => Self::Refused,
            CryptoError::Backend => Self::Backend,
        }
    }
}

impl From<WireError> for HandshakeError {
    fn from(_: WireError) -> Self {
        Self::Length
    }
}
