//! Chain keys: each message moves them on, and what is spent cannot be computed again.

use super::{header::HeaderKey, message::MessageKey};
use crate::{
    crypto::{
        KeyPair,
        kdf::{hmac, hmac_twice},
        secret::secret,
    },
    limits::RESERVE,
    session::Position,
};

secret! {
    /// One link of a chain.
    pub(crate) struct ChainKey([u8; 32]);
}

impl ChainKey {
    /// KDF_CK (DR 5.2): the key of this position's message.
    #[cfg(test)]
    pub(crate) fn message_key(&self) -> MessageKey {
        MessageKey::new(hmac(self.bytes(), &[&[0x01]]))
    }

    /// KDF_CK (DR 5.2): the next position.
    pub(crate) fn next(&self) -> Self {
        Self::new(hmac(self.bytes(), &[&[0x02]]))
    }

    /// KDF_CK (DR 5.2): both at once.
    pub(crate) fn step(&self) -> (MessageKey, Self) {
        let [message, next] = hmac_twice(self.bytes(), [&[0x01], &[0x02]]);
        (MessageKey::new(message), Self::new(next))
    }

    /// The position `steps` further on.
    pub(crate) fn advanced(&self, steps: u32) -> Self {
        let mut key = Self::new(*self.bytes());
        for _ in 0..steps {
            key = key.next();
        }
        key
    }
}

/// The chain that seals, with the ratchet key that it announces.
///
/// Storage holds a position ahead of this one: see [`SendingChain::position_to_store`].
#[derive(Debug)]
pub(crate) struct SendingChain {
    pub(crate) key: ChainKey,
    pub(crate) header: HeaderKey,
    pub(crate) pair: KeyPair,
    /// Number of the next message.
    pub(crate) n: u32,
    /// Storage is known to hold this position: messages below it may leave.
    pub(crate) reserved: u32,
    /// The position in the snapshot that was written last.
    pub(crate) written: u32,
}

impl SendingChain {
    pub(crate) const fn new(key: ChainKey, header: HeaderKey, pair: KeyPair) -> Self {
        Self {
            key,
            header,
            pair,
            n: 0,
            reserved: 0,
            written: 0,
        }
    }

    /// Whether storage already holds a position behind the message that was sealed last.
    pub(crate) const fn is_covered(&self) -> bool {
        self.n <= self.reserved
    }

    /// The position that a snapshot writes. It never falls behind what was sealed, so no message
    /// key repeats after a loss of power, and storage holds no key of a message that left.
    pub(crate) const fn position_to_store(&self) -> u32 {
        if self.is_covered() {
            self.reserved
        } else {
            (self.n - 1).saturating_add(RESERVE)
        }
    }
}

impl SendingChain {
    /// Says which position a record writes, and remembers that it was written.
    pub(crate) const fn write_position(&mut self, position: Position) -> u32 {
        let at = match position {
            Position::Reserved => self.position_to_store(),
            Position::Exact => self.n,
        };
        self.written = at;
        if matches!(position, Position::Exact) {
            self.reserved = at;
        }
        at
    }
}

/// The chain that opens.
#[derive(Debug)]
pub(crate) struct ReceivingChain {
    pub(crate) key: ChainKey,
    pub(crate) header: HeaderKey,
    /// Number of the next message in order.
    pub(crate) n: u32,
}
