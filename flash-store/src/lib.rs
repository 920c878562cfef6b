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
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::float_arithmetic
    )
)]

#[cfg(test)]
extern crate std;

mod apply;
mod batch;
mod boot;
mod bytes;
mod commit;
mod error;
mod items;
mod keys;
mod load;
mod medium;
mod messages;
mod open;
mod outbox;
mod record;
mod records;
mod settle;
mod storage;
mod store;
mod tables;
mod write;

pub use boot::{Anchor, Boot, Cause, Lost, NoAnchor};
pub use error::FlashError;
pub use open::FORMAT;
pub use store::{FlashStore, Wear, Wipe};
pub use tables::{INBOX, MAX_SETTING, SEEN, SETTINGS, Tables};
