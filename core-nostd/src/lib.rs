//! End-to-end encrypted messaging for a chip with 64 KiB of RAM.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::float_arithmetic
    )
)]

#[cfg(test)]
extern crate std;

pub mod crypto;
pub mod fingerprint;
pub mod identity;
pub mod limits;
pub mod wire;
