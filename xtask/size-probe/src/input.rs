//! Inputs and randomness of which the compiler can assume nothing.

use core::convert::Infallible;
use core::hint::black_box;

use rand_core::{TryCryptoRng, TryRng};

/// Bytes of unknown content and length.
pub fn bytes() -> &'static [u8] {
    black_box(&[])
}

/// An array of unknown content.
pub fn array<const N: usize>() -> [u8; N] {
    black_box([0; N])
}

/// Stands for a chip's random generator, whose driver is not the core's. It is not random.
pub struct Counter;

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(1))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(1))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(black_box(1));
        Ok(())
    }
}

impl TryCryptoRng for Counter {}
