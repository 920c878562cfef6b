//! A device that talks end-to-end encrypted: one app for every [`board`].
#![no_std]

#[cfg(test)]
extern crate std;

pub mod board;
pub mod parts;

/// How long the button is held at boot before the device is reset to its factory state.
pub const RESET_HOLD: embassy_time::Duration = embassy_time::Duration::from_secs(5);
