//! What can go wrong with an endpoint, and whose fault it is.

use core::fmt;

use crate::{crypto::CryptoError, session::StateError, wire::WireError};

/// Why a call of the endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError<E> {
    /// The medium failed: drop the endpoint and load it from what was committed.
    Storage(E),
    /// The relay sent what does not parse: close the link.
    Wire(WireError),
    /// The P-256 backend failed.
    Crypto(CryptoError),
    /// The buffer given is too small for what is to be written.
    Buffer,
    /// Too much waits to be transmitted: call `poll_transmit`, then give the same frame again.
    Busy,
}

impl<E> From<WireError> for EndpointError<E> {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl<E> From<CryptoError> for EndpointError<E> {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl<E> From<StateError> for EndpointError<E> {
    fn from(_: StateError) -> Self {
        Self::Buffer
    }
}

impl<E: fmt::Display> fmt::Display for EndpointError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "storage failed: {error}"),
            Self::Wire(error) => write!(f, "the relay breaks the protocol: {error}"),
            Self::Crypto(error) => write!(f, "cryptography failed: {error}"),
            Self::Buffer => f.write_str("the buffer is too small"),
            Self::Busy => f.write_str("transmit first, then give the frame again"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for EndpointError<E> {}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<E> {
    /// Larger than the recipient, or anybody, takes.
    TooLarge,
    /// No such contact: add it first.
    UnknownContact,
    /// The contact is blocked: unblock it first.
    Blocked,
    /// The outbox is full: wait for receipts.
    OutboxFull,
    /// The medium failed.
    Storage(E),
}

impl<E: fmt::Display> fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the message is larger than the recipient takes"),
            Self::UnknownContact => f.write_str("no such contact: add it first"),
            Self::Blocked => f.write_str("the contact is blocked: unblock it first"),
            Self::OutboxFull => f.write_str("the outbox is full: wait until messages are received"),
            Self::Storage(error) => write!(f, "storage failed: {error}"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for SendError<E> {}
