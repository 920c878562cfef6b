//! A device's whole state on NOR flash, so that power may fail at any moment.
//!
//! [`FlashStore`] is [`hushwire_core::storage::Storage`] over a region of flash: identity, contacts
//! and their sessions, prekeys, outbox, inbox, settings. No std, no heap: the tables are the
//! caller's [`Tables`], usually a `static`.
//!
//! ```text
//!  Endpoint ── Storage ──> Tables (RAM) ── commit ──┬─> journal entries ──┐
//!                                                   ├─> records ──────────┼─ sealed ──> items (sequential-storage)
//!                                                   └─> epoch keys ───────┴───────────> key pages, wiped in place
//! ```
//! Layout, formats and the argument why spent secrets are gone: `flash-store/FORMAT.md`.
#![no_std]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(test)]
extern crate std;

mod boot;
mod error;
mod store;
mod tables;

pub use boot::{Anchor, Boot, Cause, Lost, NoAnchor};
pub use error::FlashError;
pub use store::{FlashStore, Wear, Wipe};
pub use tables::{INBOX, MAX_SETTING, SETTINGS, Tables};
