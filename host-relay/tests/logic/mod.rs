//! The relay's decisions with a clock in the hand: no socket, no thread, and whatever store [`crate::engine`]
//! gives.

mod access;
mod defer;
mod directory;
mod durability;
mod expiry;
mod failures;
mod limits;
mod mail;
mod notices;
pub(crate) mod world;

use hushwire_relay::store::Store;

/// Opens one and the same store, again and again.
pub(crate) type Open = Box<dyn Fn() -> Box<dyn Store> + Send + Sync>;
