//! The core's operations on a Cortex-M4 in QEMU, each once, with its count of instructions and its
//! peak of stack.
//!
//! An image prints one line for each, `op NAME INSTRUCTIONS STACK`, and ends QEMU. There is one image
//! for each P-256 backend; `cargo xtask bench device` runs them.
#![no_std]

mod clock;
mod conversation;
mod curve;
mod desk;
mod dice;
mod endpoint;
mod link;
mod meter;
mod people;
mod stack;
mod start;
mod state;

// The panic handler: tells the host, and ends QEMU with a failure.
use panic_semihosting as _;

use cortex_m_semihosting::debug::{EXIT_SUCCESS, exit};
use hushwire_core::crypto::P256;

/// Measures every operation over one backend, then ends QEMU.
pub fn measure(curve: impl P256 + Copy) -> ! {
    let mut meter = meter::Meter::new();
    curve::measure(&mut meter, curve);
    let (mut people, mut sessions) = start::measure(&mut meter, curve);
    conversation::measure(&mut meter, curve, &mut sessions);
    state::measure(&mut meter, &mut sessions);
    link::measure(&mut meter, curve, &mut people);
    endpoint::measure(&mut meter, curve);
    loop {
        exit(EXIT_SUCCESS);
    }
}
