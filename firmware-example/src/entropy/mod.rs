//! Randomness: raw noise of the board, tested, conditioned, stretched.
//!
//! ```text
//! board's noise ──> Health (SP 800-90B 4.4) ──> SHA-256 ──seed──> ChaCha20 ──> Random: keys, salts
//!                     │ sick
//!                     └──> no Generator: no key can be made
//! ```
//! A [`Generator`] exists only after a start-up test that passed. One that falls sick later says so:
//! whoever drives the device then stops everything that sends or makes keys.

mod health;

use core::cell::RefCell;
use core::convert::Infallible;

use chacha20::ChaCha20Rng;
use hushwire_core::crypto::kdf::sha256;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use zeroize::Zeroize as _;

use crate::board::{Entropy, NoEntropy};

pub use health::{ASSUMED_ENTROPY, Health, Sick};

/// Samples that are tested before the first one counts: at least 1024. SP 800-90B 4.3
const START_UP: usize = 1024;
/// Bytes of noise asked for at once.
const BLOCK: usize = 64;
/// Bytes of noise in a later seed: at the entropy that is believed, 384 bits.
const RESEED: usize = 384;
const LABEL: &[u8] = b"hushwire firmware seed";

const _: () = assert!(
    START_UP * ASSUMED_ENTROPY as usize >= 256 + 64
        && START_UP.is_multiple_of(BLOCK)
        && RESEED.is_multiple_of(BLOCK),
    "the first seed holds more entropy than the generator's key"
);

/// A generator that was seeded from healthy noise.
pub struct Generator<E> {
    source: E,
    health: Health,
    stream: ChaCha20Rng,
    sick: Option<Sick>,
}

impl<E: Entropy> Generator<E> {
    /// Tests the source, and seeds from it.
    ///
    /// # Errors
    /// [`Sick`], and the source back: there is no generator, and so no key. Try again later.
    pub fn start(mut source: E) -> Result<Self, (E, Sick)> {
        let mut health = Health::new();
        let mut seed = match gather(&mut source, &mut health, START_UP, [0; 32]) {
            Ok(seed) => seed,
            Err(sick) => return Err((source, sick)),
        };
        let stream = ChaCha20Rng::from_seed(seed);
        seed.zeroize();
        Ok(Self {
            source,
            health,
            stream,
            sick: None,
        })
    }

    /// Mixes fresh noise into the stream. After a failure the next call tests the source from its
    /// start.
    ///
    /// # Errors
    /// [`Sick`]: stop sending and making keys until a later call succeeds.
    pub fn reseed(&mut self) -> Result<(), Sick> {
        let samples = if self.sick.is_some() {
            self.health = Health::new();
            START_UP
        } else {
            self.health.mark();
            RESEED
        };
        let mut before = [0; 32];
        self.stream.fill_bytes(&mut before);
        match gather(&mut self.source, &mut self.health, samples, before) {
            Ok(mut seed) => {
                self.stream = ChaCha20Rng::from_seed(seed);
                seed.zeroize();
                self.sick = None;
                Ok(())
            }
            Err(sick) => {
                self.sick = Some(sick);
                Err(sick)
            }
        }
    }
}

impl<E> Generator<E> {
    /// What the last test found wrong.
    #[must_use]
    pub const fn sick(&self) -> Option<Sick> {
        self.sick
    }
}

impl<E> core::fmt::Debug for Generator<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            source: _,
            health: _,
            stream: _secret,
            sick,
        } = self;
        write!(f, "Generator {{ sick: {sick:?}, .. }}")
    }
}

/// Hashes tested noise, block by block, over `state`.
fn gather<E: Entropy>(
    source: &mut E,
    health: &mut Health,
    samples: usize,
    mut state: [u8; 32],
) -> Result<[u8; 32], Sick> {
    let mut noise = [0; BLOCK];
    for _ in 0..samples / BLOCK {
        source.fill(&mut noise).map_err(|NoEntropy| Sick::Silent)?;
        health.take(&noise)?;
        state = sha256(&[LABEL, &state, &noise]);
    }
    noise.zeroize();
    Ok(state)
}

/// The generator as its several users hold it, on one thread and never across an `await`.
pub struct Random<'a, E>(&'a RefCell<Generator<E>>);

impl<'a, E> Random<'a, E> {
    /// A handle.
    pub const fn new(generator: &'a RefCell<Generator<E>>) -> Self {
        Self(generator)
    }
}

impl<E> Clone for Random<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Random<'_, E> {}

impl<E> core::fmt::Debug for Random<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}

impl<E> TryRng for Random<'_, E> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.borrow_mut().stream.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.borrow_mut().stream.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().stream.fill_bytes(bytes);
        Ok(())
    }
}

impl<E> TryCryptoRng for Random<'_, E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Noise, Trouble};

    #[test]
    fn no_generator_grows_from_sick_noise() {
        for (trouble, sick) in [
            (Trouble::Silent, Sick::Silent),
            (Trouble::Stuck, Sick::Stuck),
            (Trouble::Repeating(4), Sick::Repeating),
            (Trouble::Repeating(200), Sick::Repeating),
        ] {
            let found = Generator::start(Noise::new(1, trouble)).map_err(|(_, sick)| sick);
            assert_eq!(found.err(), Some(sick), "{trouble:?}");
        }
    }

    #[test]
    fn noise_that_falls_sick_later_is_found_and_may_recover() {
        let noise = Noise::new(1, Trouble::None);
        let trouble = noise.handle();
        let mut generator = Generator::start(noise).unwrap();
        generator.reseed().unwrap();
        trouble.set(Trouble::Stuck);
        assert_eq!(generator.reseed(), Err(Sick::Stuck));
        assert_eq!(generator.sick(), Some(Sick::Stuck));
        trouble.set(Trouble::None);
        generator.reseed().unwrap();
        assert_eq!(generator.sick(), None);
    }

    #[test]
    fn two_seeds_are_two_streams() {
        let stream = |seed| {
            let mut generator = Generator::start(Noise::new(seed, Trouble::None)).unwrap();
            let mut bytes = [[0; 32]; 2];
            generator.stream.fill_bytes(&mut bytes[0]);
            generator.reseed().unwrap();
            generator.stream.fill_bytes(&mut bytes[1]);
            bytes
        };
        assert_eq!(stream(1), stream(1));
        assert!(stream(1).iter().all(|bytes| !stream(2).contains(bytes)));
        assert_ne!(stream(1)[0], stream(1)[1]);
    }
}
