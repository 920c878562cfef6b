//! The cast of the demo and of the device's trials: a relay, people, and a device in QEMU.
//!
//! Each is a real process with its own folder, killed by its own handle as a loss of power would.
//!
//! ```text
//! demo, trials ──> Relay · Person · Device ──> Running: lines in, lines out, kill
//!              └─> disk: what a thief would find
//! ```

mod child;
mod device;
mod disk;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "hostile")]
mod hostile;
mod person;
mod relay;
#[cfg(feature = "gateway")]
mod wire;

use std::path::PathBuf;

pub use child::{PATIENCE, Running};
pub use device::{Answer, Device, HOST};
pub use disk::{Found, search, search_file};
#[cfg(feature = "gateway")]
pub use gateway::{GATEWAY, Gateway};
#[cfg(feature = "hostile")]
pub use hostile::{Harmed, HostileRelay, Spite};
pub use person::{Listening, Person};
pub use relay::Relay;
#[cfg(feature = "gateway")]
pub use wire::{Tale, Weather};

/// The programs that play: where they were built to.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `hushwire-relay`.
    pub relay: PathBuf,
    /// `hushwire`.
    pub client: PathBuf,
}
