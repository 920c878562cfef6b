//! Two identifiers that must never be confused, so they are two types.
//!
//! ```
//! use hushwire_core::wire::{EnvelopeId, MessageId};
//! fn acknowledge(_: EnvelopeId) {}
//! acknowledge(EnvelopeId::of(b"envelope"));
//! let _name = MessageId([0; 16]);
//! ```
//! A message's name acknowledges nothing, and the two are never equal:
//! ```compile_fail,E0308
//! use hushwire_core::wire::{EnvelopeId, MessageId};
//! fn acknowledge(_: EnvelopeId) {}
//! acknowledge(MessageId([0; 16]));
//! ```
//! ```compile_fail,E0308
//! use hushwire_core::wire::{EnvelopeId, MessageId};
//! let _ = EnvelopeId::of(b"envelope") == MessageId([0; 16]);
//! ```
//! ```compile_fail,E0277
//! use hushwire_core::wire::{EnvelopeId, MessageId};
//! let _: EnvelopeId = MessageId([0; 16]).into();
//! ```
//! Nor is an address either of them, though all three are bytes:
//! ```compile_fail,E0308
//! use hushwire_core::{identity::Address, wire::MessageId};
//! let _: MessageId = Address([0; 20]);
//! ```

use crate::crypto::kdf::sha256;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub [u8; Self::LEN]);

        impl core::hash::Hash for $name {
            /// Eight bytes: an id is random already, and a map's hasher mixes in its own key.
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                let head = self.0.first_chunk().copied().unwrap_or_default();
                state.write_u64(u64::from_ne_bytes(head));
            }
        }

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = 16;
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

id! {
    /// Names an envelope on its way: the first 16 bytes of its SHA-256. Sender, relay and recipient
    /// each compute it; nobody is believed.
    EnvelopeId
}

id! {
    /// Names a message end to end: 16 random bytes inside the encryption, the same in every
    /// envelope that ever carries the message.
    MessageId
}

impl EnvelopeId {
    /// The name of an envelope.
    #[must_use]
    pub fn of(envelope: &[u8]) -> Self {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = sha256(&[envelope]);
        Self(id)
    }
}
