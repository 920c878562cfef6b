//! The cast of the demo and of the device's trials: a relay, people, and a device in QEMU.
//!
//! Each is a real process with its own folder, killed by its own handle as a loss of power would.
//!
//! ```text
//! demo, trials ──> Relay · Person · Device ──> Running: lines in, lines out, kill
//!              └─> disk: what a thief would find
//! ```

mod child;
mod disk;
mod person;
mod relay;

use std::path::PathBuf;

pub use child::{PATIENCE, Running};
pub use disk::{Found, search};
pub use person::{Listening, Person};
pub use relay::Relay;

/// The programs that play: where they were built to.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `hushwire-relay`.
    pub relay: PathBuf,
    /// `hushwire`.
    pub client: PathBuf,
}
