//! Driver of the SMSC LAN9118 and LAN9220 Ethernet controllers for `embassy-net`.
//!
//! ```text
//! interrupt ──> Irq::handle ── wakes ──> Lan9118: embassy-net's driver
//!                                          │ whole frames, word by word
//!                                          v
//!                              Chip: start · frames · phy
//!                                          │
//!                                      Registers (Mmio on the chip, a model in the tests)
//! ```
//! Frames go straight between the chip's FIFOs and a buffer on the stack of whoever handles them:
//! the driver itself keeps no frame. Every wait is bounded: a controller that does not answer gives
//! an error, or no frames, and never a hang.
#![no_std]

#[cfg(test)]
extern crate std;

mod chip;
mod driver;
mod frames;
#[cfg(test)]
mod model;
mod phy;
pub mod registers;
#[cfg(test)]
mod tests;

pub use chip::{Chip, Fault};
pub use driver::{Irq, Lan9118, Received, Room};
pub use frames::MAX_FRAME;
pub use registers::{Mmio, Registers};
