//! What can go wrong, as sentences that say what happened and what to do.

use hushwire_core::wire::{bundle::BundleError, reason::Reason};

use crate::{card::CardError, net::LinkError, vault::VaultError, words::WordsError};

/// Why a call of the client failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A contact card or relay URL does not read.
    #[error("this is no contact card or relay URL: {0}")]
    Card(#[from] CardError),
    /// Words do not read.
    #[error("these are not the words of an identity: {0}")]
    Words(#[from] WordsError),
    /// What should be trusted holds no certificate.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    NoCertificates(#[from] crate::net::NoCertificates),
    /// A relay's link is not up.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// A relay refused a request.
    #[error("the relay refused: {reason}{}", later(*.retry_after))]
    Refused {
        /// Why.
        reason: Reason,
        /// When to come back, seconds; 0 for no hint.
        retry_after: u32,
    },
    /// The relay wants an invitation.
    #[error(
        "the relay takes new identities by invitation only, and has seen no good one from you (none, \
         or one that is wrong, used up or expired): ask its operator for one, then: hushwire \
         register --invite INVITATION"
    )]
    Uninvited,
    /// Nobody is called so.
    #[error("there is no contact called {0}; see: hushwire contacts list")]
    UnknownContact(String),
    /// A name that is taken.
    #[error("there is a contact called {0} already; choose another name")]
    NameInUse(String),
    /// An address that has a name.
    #[error("this address is in your contacts already, as {0}")]
    AddressKnown(String),
    /// A name that cannot be.
    #[error(
        "a contact's name has 1 to 64 characters, without spaces around it or control characters"
    )]
    BadName,
    /// Oneself.
    #[error("this is your own address")]
    Oneself,
    /// No such nickname at the home relay.
    #[error("nobody is called @{0} at your relay; ask for the contact card instead")]
    UnknownNickname(String),
    /// A nickname that no relay takes.
    #[error("a nickname has 3 to 32 of a-z, 0-9, dot, underscore and hyphen, a letter first")]
    BadNickname,
    /// A nickname has another owner than when it was pinned.
    #[error(
        "the relay now gives another address for @{nickname} than when you added {name}. That is a \
         new device, or somebody in between. Nothing was changed. Ask {name} over another channel; \
         only then: hushwire verify {name} --accept"
    )]
    KeyChanged {
        /// The nickname.
        nickname: String,
        /// The contact.
        name: String,
    },
    /// There is nothing to accept.
    #[error("{0} has no changed key to accept")]
    NothingToAccept(String),
    /// The keys of a contact must not be used.
    #[error("the relay gave keys that must not be used: {0}")]
    BadBundle(BundleError),
    /// The contact has never been online.
    #[error(
        "{0} has no keys for you at its relay: it was never online there, left, or takes only contacts"
    )]
    NoBundle(String),
    /// The contact is blocked.
    #[error("{0} is blocked; first: hushwire contacts block --undo {0}")]
    Blocked(String),
    /// The message is too large.
    #[error("the message is larger than {0} takes; send it in parts")]
    TooLarge(String),
    /// Too much waits.
    #[error("too many messages wait for receipts; send again when some have come")]
    OutboxFull,
    /// All links are in use.
    #[error("this vault uses as many relays as it can (8)")]
    TooManyRelays,
    /// No relay to move.
    #[error(
        "none of your relays is at {0} (see: hushwire status); name the one that has moved: \
         hushwire relay URL --replaces HOST:PORT"
    )]
    UnknownRelay(String),
    /// The relay does not answer.
    #[error("the relay did not answer in time; try again")]
    NoAnswer,
    /// The client was closed, or its thread ended after an error that was told.
    #[error("the client has stopped")]
    Stopped,
    /// This build is at fault.
    #[error("{0}; please report this")]
    Internal(&'static str),
}

fn later(seconds: u32) -> String {
    match seconds {
        0 => String::new(),
        seconds => format!("; try again in {seconds} s"),
    }
}
