//! Hushwire's client: end-to-end encrypted messaging for host programs.
//!
//! ```text
//! Client ──calls──> driver (one thread): hushwire_core::Endpoint over Vault ──> disk
//!    ^                   │  ^
//!    └── Listener <──────┘  └──frames──> net: one task for each relay, TCP + Noise link
//! ```
//! A [`Client`] opens a [`vault`], keeps links to its relays, and sends and receives. What is sent
//! while no relay can be reached waits in the vault. See `examples/` for a program in 20 lines.

pub mod card;
mod client;
mod driver;
mod error;
mod events;
mod net;
pub mod vault;
pub mod words;

pub use card::{Card, CardError, Invited, RelayUrl, Way};
pub use client::{Client, Listener, Mailbox, Notification, RelayState, Safety, Sent, Who};
pub use error::Error;
pub use hushwire_core::{
    identity::Address,
    wire::{MessageId, invite::Invite, reason::Reason, request::MailboxMode},
};
pub use net::LinkError;
#[cfg(feature = "tls")]
pub use net::NoCertificates;
pub use vault::{Contact, Filter, Message, State, Unlock, VaultError};
