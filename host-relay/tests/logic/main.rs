//! The relay's decisions with a clock in the hand and a store in memory: no socket, no thread.

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
