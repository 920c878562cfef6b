//! `CortexM4`: P-256 in hand-written assembly for Cortex-M4 and Cortex-M33, eight times as fast as
//! the portable software and an alternative to it wherever [`hushwire_core::crypto::P256`] is asked
//! for.
//!
//! The arithmetic is Emil Lenngren's P256-Cortex-M4, unchanged, through `p256-cortex-m4-sys`. This
//! crate adds what the library leaves to its user:
//!
//! - nonces: RFC 6979 with added randomness, made as the portable backend makes them, so that both
//!   give the same signature bytes;
//! - validation: scalars in 1..n, points on the curve, canonical encodings;
//! - wiping of each secret word that it copies. What the library leaves on the stack stays there
//!   until the stack is used again, as with the portable backend.
//!
//! # Where it may be used
//! Cortex-M4, Cortex-M33 with the DSP extension. Its tables in RAM are read at secret places, which
//! takes the same time on chips **without a data cache**. On a Cortex-M7 with its cache on, compile
//! with `CFLAGS=-Dhas_d_cache=1` in the environment: every entry is then read.
//!
//! The C compiler `arm-none-eabi-gcc` must be there at build time (Debian: `gcc-arm-none-eabi` and
//! `libnewlib-arm-none-eabi`); `cargo xtask setup` sees to it. For every other target, the host's
//! included, the crate is empty.
#![no_std]

#[cfg(cortex_m4)]
mod backend;
#[cfg(cortex_m4)]
mod library;

#[cfg(cortex_m4)]
pub use backend::CortexM4;
