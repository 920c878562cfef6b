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
mod world;
