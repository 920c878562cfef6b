//! What an image was found to be at boot, and what the board can say against an older one.

/// What the flash holds. Every image, whatever its bytes, is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// Nothing: a first start, or the first one after [`crate::FlashStore::reset`]. Make an identity
    /// and call [`crate::FlashStore::set_identity`].
    Fresh,
    /// Everything that was committed.
    Ready,
    /// The identity is there, some of the rest is not: what was damaged is dropped, and
    /// conversations without a session begin anew by themselves.
    Recovered(Lost),
    /// The board's [`Anchor`] says that this is an older image. Identity, contacts and settings are
    /// kept; sessions and prekeys are not used (their keys may be spent), and messages that wait in
    /// the inbox are marked replayable.
    RolledBack,
    /// There is no identity that opens under this storage key. Only
    /// [`crate::FlashStore::reset`] helps.
    NeedsPairing(Cause),
}

/// Why an image has no identity to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is of this format, and sealed under another storage key: another device's.
    Foreign,
    /// It was written by a newer build, of this format.
    Newer(u8),
    /// It is no image of this store, or too much of it is damaged.
    Damaged,
}

/// What an image has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Sessions: each conversation begins anew at its next message.
    pub sessions: u8,
    /// Contacts: add them again.
    pub contacts: u8,
    /// The own prekeys: make the endpoint with [`hushwire_core::endpoint::Endpoint::new`].
    pub prekeys: bool,
    /// Messages of outbox or inbox, or what was seen before.
    pub messages: bool,
}

impl Lost {
    /// Whether nothing is lost.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A number of the board that never goes back: a monotonic counter of a secure element, a
/// one-time-programmable word, a backup register.
///
/// The store raises it once at each boot, and at [`crate::FlashStore::raise_anchor`]. An image that
/// is behind it is an older one. Copies made between two raises are not told apart.
pub trait Anchor {
    /// What it stands at; 0 when it is new.
    fn read(&mut self) -> u64;
    /// Raises it, durably before it returns.
    fn raise(&mut self, to: u64);
}

/// A board without such a number.
#[derive(Clone, Copy, Debug)]
pub struct NoAnchor;

impl Anchor for NoAnchor {
    fn read(&mut self) -> u64 {
        0
    }

    fn raise(&mut self, _to: u64) {}
}
