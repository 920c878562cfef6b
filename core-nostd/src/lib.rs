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
#[cfg(feature = "e2ee")]
pub mod endpoint;
#[cfg(feature = "e2ee")]
pub mod evidence;
pub mod fingerprint;
#[cfg(feature = "e2ee")]
pub mod handshake;
pub mod identity;
pub mod limits;
pub mod link;
#[cfg(feature = "e2ee")]
pub mod peer;
#[cfg(feature = "e2ee")]
pub mod prekey;
#[cfg(feature = "e2ee")]
mod ratchet;
#[cfg(feature = "e2ee")]
pub mod session;
#[cfg(feature = "e2ee")]
pub mod snapshot;
#[cfg(feature = "e2ee")]
pub mod storage;
pub mod wire;
