//! A device that talks end-to-end encrypted: one app for every [`board`].
//!
//! ```text
//!  main ──Board──> run (app)
//!                   ├─ console   editor, commands, codes to scan ──┐
//!                   ├─ net       embassy-net, TCP                 ─┼─> device ─> hushwire-core's Endpoint
//!                   └─ lamp, watchdog                             ─┘     │  └──> hushwire-flash's store
//!                                            entropy, settings, clock, log
//! ```
//! The [`device`] knows no socket, no console and no clock: tests drive it on a host.
#![cfg_attr(not(test), no_std)]

#[cfg(test)]
extern crate self as hushwire_firmware;
#[cfg(test)]
extern crate std;

mod app;
pub mod backoff;
#[cfg(test)]
#[path = "../tests/bench/mod.rs"]
mod bench;
pub mod board;
pub mod clock;
pub mod console;
pub mod curve;
pub mod device;
pub mod entropy;
pub mod lamp;
pub mod log;
pub mod net;
pub mod parts;
pub mod relay;
pub mod remote;
pub mod settings;
pub mod text;

pub use app::{Wake, run};

/// How long the button is held at boot before the device is reset to its factory state.
pub const RESET_HOLD: embassy_time::Duration = embassy_time::Duration::from_secs(5);

/// Contacts that a device holds.
pub const CONTACTS: usize = 4;
/// Messages that wait for their receipt.
pub const OUTBOX: usize = 8;
/// One-time prekeys on offer.
pub const PREKEYS: usize = 8;
/// Kept keys of a session.
pub const SKIP: usize = hushwire_core::limits::DEVICE_MAX_SKIP;
/// Bytes of the largest message.
pub const MAX_BODY: usize = hushwire_core::limits::BASE_BODY;
/// The one relay's number.
pub(crate) const LINK: u8 = 0;
