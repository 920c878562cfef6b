//! Driver of the SMSC LAN9118 and LAN9220 Ethernet controllers for `embassy-net`.
//!
//! ```text
//! interrupt ──> Irq::handle ── wakes ──> Lan9118: embassy-net's driver
//!                                          │ receive, transmit: whole frames, word by word
//!                                          v
//!                                      Registers (Mmio on the chip, a model in the tests)
//! ```
//! Frames go straight between the chip's FIFOs and the stack; one scratch frame is all the RAM that
//! it takes. Every wait is bounded: a controller that does not answer gives an error, or no frames,
//! and never a hang.
#![no_std]

#[cfg(test)]
extern crate std;

mod chip;
mod driver;
#[cfg(test)]
mod model;
pub mod registers;

pub use chip::{Chip, Fault};
pub use driver::{Irq, Lan9118, MAX_FRAME, Received, Room};
pub use registers::{Mmio, Registers};
