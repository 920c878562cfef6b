//! A session: the Double Ratchet of two devices, with header encryption and strict alternation.
//!
//! ```text
//! seal: [step] -> message key -> body in place -> header -> Sealed --(evidence)--> bytes
//! open: header keys -> stage -> verify -> commit -> Opened
//! ```
//! A party makes a new ratchet key only at a seal, and only after it received a peer key newer than
//! the one that its sending chain used: `sending` is `None` exactly then. `open` makes no key, draws
//! no randomness, and on failure changes not one byte of state.

mod content;
mod open;
mod part;
mod seal;
mod state;

pub use content::{Content, Kind};
pub use open::{OpenError, Opened};
pub use seal::{SealError, Sealed};
pub use state::{Position, StateError};

use core::num::NonZeroU32;

use crate::{
    crypto::{
        PublicKey,
        kdf::{Direction, label, sha256},
    },
    ratchet::{
        chain::{ReceivingChain, SendingChain},
        header::HeaderKey,
        root::RootKey,
        skipped::Skipped,
    },
    wire::envelope::{CLEAR_LEN, START_LEN},
};

/// Length of the name that binds every message to its session.
pub(crate) const ID_LEN: usize = 16;

/// Bytes of a first message before its ratchet part.
pub(crate) const OPENING_LEN: usize = CLEAR_LEN + START_LEN;

/// Names a start by its ephemeral key: repeats of a first flight find their session by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartTag(pub(crate) [u8; Self::LEN]);

impl StartTag {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// The tag of an initiator's ephemeral key.
    #[must_use]
    pub fn of(ephemeral: &[u8; PublicKey::LEN]) -> Self {
        let hash = sha256(&[label::START, ephemeral]);
        Self(hash.first_chunk().copied().unwrap_or_default())
    }

    /// The tag itself.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// What this side has received so far.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "no heap to box into, and the small variant lives where the large one will"
)]
pub(crate) enum Receiving<const SKIP: usize> {
    /// Nothing yet. An initiator repeats its opening before each message until it is answered; a
    /// responder is between the agreement and its first message.
    Nothing { opening: Option<[u8; OPENING_LEN]> },
    /// A chain of the peer's.
    Chain {
        chain: ReceivingChain,
        skipped: Skipped<SKIP>,
    },
}

/// One session. `SKIP` is how many keys it keeps for messages that have not come yet.
#[derive(Debug)]
pub struct Session<const SKIP: usize> {
    /// The way of what this side seals.
    pub(crate) direction: Direction,
    pub(crate) id: [u8; ID_LEN],
    pub(crate) start: StartTag,
    /// The peer has shown that it holds this session now, by a message under our own fresh key.
    pub(crate) confirmed: bool,
    /// The one-time prekey that a responder spent on it; boot reconciles the pool with it.
    pub(crate) one_time_prekey: Option<NonZeroU32>,
    /// Largest body that the peer takes, bytes.
    pub(crate) max_body: u16,
    pub(crate) root: RootKey,
    /// The newest ratchet key of the peer.
    pub(crate) peer: PublicKey,
    pub(crate) sending: Option<SendingChain>,
    pub(crate) next_sending_header: HeaderKey,
    /// PN of the next chain: messages sealed in the one before.
    pub(crate) previous: u32,
    pub(crate) receiving: Receiving<SKIP>,
    pub(crate) next_receiving_header: HeaderKey,
}

impl<const SKIP: usize> Session<SKIP> {
    /// Bytes of RAM that a session costs.
    pub const RAM: usize = size_of::<Self>();

    /// Whether the peer has proved that it holds this session now: not a replay, not a lost start.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether this side started it.
    #[must_use]
    pub const fn is_initiator(&self) -> bool {
        matches!(self.direction, Direction::FromInitiator)
    }

    /// Whether content of it may be a replay: a peer's start without one-time prekey that was not
    /// confirmed yet. Such content must never execute a command.
    #[must_use]
    pub const fn may_be_replayed(&self) -> bool {
        !self.confirmed && !self.is_initiator() && self.one_time_prekey.is_none()
    }

    /// The tag of the start that made it.
    #[must_use]
    pub const fn start_tag(&self) -> StartTag {
        self.start
    }

    /// The one-time prekey that the peer's start spent, to be removed from the pool at boot.
    #[must_use]
    pub fn spent_prekey(&self) -> Option<u32> {
        self.one_time_prekey.map(NonZeroU32::get)
    }

    /// Largest body that the peer takes, in bytes.
    #[must_use]
    pub const fn max_body(&self) -> usize {
        self.max_body as usize
    }

    /// Whether the next seal makes a new ratchet key: the peer has answered since the last one.
    #[must_use]
    pub const fn will_step(&self) -> bool {
        self.sending.is_none()
    }

    /// A snapshot of this session was committed: its reserved positions may be used.
    pub fn stored(&mut self, _evidence: &crate::evidence::Persisted) {
        if let Some(chain) = &mut self.sending {
            chain.reserved = chain.written.max(chain.reserved);
        }
    }
}
