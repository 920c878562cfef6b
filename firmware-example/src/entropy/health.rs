//! Continuous health tests of raw noise: SP 800-90B 4.4, and one of our own (90B 4.5).
//!
//! A sample is one byte, of which no more than [`ASSUMED_ENTROPY`] bit is believed. Each test calls
//! healthy noise of that quality sick once in 2^30 samples or windows.

/// Bits of entropy believed of each byte of noise, whatever the maker says.
pub const ASSUMED_ENTROPY: u32 = 1;

/// Equal bytes in a row that are too many: 1 + 30 / [`ASSUMED_ENTROPY`]. SP 800-90B 4.4.1
const RUN: u8 = 31;

/// Samples of a window for the proportion of one value. SP 800-90B 4.4.2
const WINDOW: u16 = 512;
/// Occurrences of a window's first value that are too many: 1 + critbinom(512, 1/2, 1 - 2^-30).
const PROPORTION: u16 = 325;

/// Bytes that never come twice: the first ones after [`Health::new`], against all that follow.
const ANCHOR: usize = 32;

/// What is wrong with a source of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sick {
    /// It does not answer, or its hardware reports a fault.
    Silent,
    /// One value too often in a row: repetition count test.
    Stuck,
    /// One value too often in a window: adaptive proportion test.
    Biased,
    /// What came first came again: it goes round in a circle.
    Repeating,
}

impl Sick {
    /// For people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Silent => "it does not answer",
            Self::Stuck => "it is stuck at one value",
            Self::Biased => "one value comes too often",
            Self::Repeating => "it repeats itself",
        }
    }
}

/// State of the tests, over all noise that a source gives.
#[derive(Debug)]
pub struct Health {
    last: u8,
    run: u8,
    first: u8,
    seen: u16,
    same: u16,
    /// Against the first noise of all: a generator that starts anew, or a very long circle.
    ever: Circle,
    /// Against the first noise since [`Health::mark`]: a circle that a source fell into later.
    lately: Circle,
}

/// Finds the first bytes again among all that follow them.
#[derive(Debug)]
struct Circle {
    anchor: [u8; ANCHOR],
    recent: [u8; ANCHOR],
    /// Bytes taken, until `anchor` and then `recent` are full.
    taken: u8,
}

impl Circle {
    const fn new() -> Self {
        Self {
            anchor: [0; ANCHOR],
            recent: [0; ANCHOR],
            taken: 0,
        }
    }

    fn closes_with(&mut self, sample: u8) -> bool {
        const FULL: u8 = 2 * ANCHOR as u8;
        if let Some(slot) = self.anchor.get_mut(usize::from(self.taken)) {
            *slot = sample;
            self.taken += 1;
            return false;
        }
        self.recent.rotate_left(1);
        self.recent[ANCHOR - 1] = sample;
        self.taken = self.taken.saturating_add(1).min(FULL);
        self.taken == FULL && self.recent == self.anchor
    }
}

impl Health {
    /// Before the first sample.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last: 0,
            run: 0,
            first: 0,
            seen: 0,
            same: 0,
            ever: Circle::new(),
            lately: Circle::new(),
        }
    }

    /// What is taken next must not come again before the next mark.
    pub const fn mark(&mut self) {
        self.lately = Circle::new();
    }

    /// Takes all samples of a block.
    ///
    /// # Errors
    /// [`Sick`]: nothing of this block may be used, and nothing after it before a new start.
    pub fn take(&mut self, noise: &[u8]) -> Result<(), Sick> {
        noise.iter().try_for_each(|sample| {
            self.repetition(*sample)?;
            self.proportion(*sample)?;
            self.circle(*sample)
        })
    }

    fn repetition(&mut self, sample: u8) -> Result<(), Sick> {
        self.run = if self.run > 0 && sample == self.last {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.last = sample;
        if self.run >= RUN {
            Err(Sick::Stuck)
        } else {
            Ok(())
        }
    }

    fn proportion(&mut self, sample: u8) -> Result<(), Sick> {
        if self.seen == 0 {
            self.first = sample;
            self.same = 0;
        }
        self.same += u16::from(sample == self.first);
        self.seen = (self.seen + 1) % WINDOW;
        if self.same >= PROPORTION {
            Err(Sick::Biased)
        } else {
            Ok(())
        }
    }

    /// A generator of numbers in the place of noise, or a buffer that is never refilled.
    fn circle(&mut self, sample: u8) -> Result<(), Sick> {
        let (ever, lately) = (
            self.ever.closes_with(sample),
            self.lately.closes_with(sample),
        );
        if ever || lately {
            Err(Sick::Repeating)
        } else {
            Ok(())
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use chacha20::ChaCha20Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn first_failure(noise: impl Iterator<Item = u8>) -> Option<(usize, Sick)> {
        let mut health = Health::new();
        noise
            .enumerate()
            .find_map(|(at, sample)| Some((at + 1, health.take(&[sample]).err()?)))
    }

    #[test]
    fn a_stuck_source_is_sick_after_31_samples() {
        assert_eq!(
            first_failure(std::iter::repeat_n(7, 1000)),
            Some((31, Sick::Stuck))
        );
        let late = (0..=255).chain(std::iter::repeat_n(0, 1000));
        assert_eq!(first_failure(late), Some((256 + 31, Sick::Stuck)));
    }

    #[test]
    fn a_source_that_prefers_a_value_is_sick() {
        // Seven of ten samples are the same, never 31 in a row.
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let noise = (0..4096_u32).map(move |n| {
            if n % 10 < 7 {
                0x55
            } else {
                (rng.next_u32() & 0xff) as u8
            }
        });
        assert!(matches!(first_failure(noise), Some((_, Sick::Biased))));
    }

    #[test]
    fn a_source_that_goes_round_is_sick() {
        for period in [2, 3, 4, 17, 64, 255, 900] {
            let mut circle = std::vec![0; period];
            ChaCha20Rng::seed_from_u64(2).fill_bytes(&mut circle);
            let noise = circle.iter().cycle().copied().take(1024);
            assert!(first_failure(noise).is_some(), "period {period}");
        }
    }

    #[test]
    fn a_source_that_goes_round_later_is_sick() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let mut block = [0; 4096];
        for period in [2, 64, 300] {
            let mut health = Health::new();
            rng.fill_bytes(&mut block);
            assert_eq!(health.take(&block), Ok(()));
            health.mark();
            let circle: Vec<u8> = block.iter().copied().take(period).collect();
            let noise: Vec<u8> = circle.iter().cycle().copied().take(384).collect();
            assert!(health.take(&noise).is_err(), "period {period}");
        }
    }

    #[test]
    fn healthy_noise_passes_for_long() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut health = Health::new();
        let mut block = [0; 4096];
        for _ in 0..1000 {
            rng.fill_bytes(&mut block);
            assert_eq!(health.take(&block), Ok(()));
        }
        // One bit in each byte, the least that is believed, passes too.
        for _ in 0..100 {
            rng.fill_bytes(&mut block);
            block.iter_mut().for_each(|byte| *byte &= 1);
            assert_eq!(health.take(&block), Ok(()));
        }
    }

    #[test]
    fn the_cut_offs_are_those_of_the_standard() {
        assert_eq!(u32::from(RUN), 1 + 30_u32.div_ceil(ASSUMED_ENTROPY));
        // The tail of the binomial distribution, from its end: log2 of each term by gamma sums.
        let n = u32::from(WINDOW);
        let log2: Vec<f64> = (1..=n).map(|k| f64::from(k).log2()).collect();
        let factorial = |k: u32| log2.iter().take(k as usize).sum::<f64>();
        let term = |k| (factorial(n) - factorial(k) - factorial(n - k) - f64::from(n)).exp2();
        let tail = |from: u32| (from..=n).map(term).sum::<f64>();
        let cut_off = u32::from(PROPORTION);
        assert!(tail(cut_off) <= (-30_f64).exp2());
        assert!(tail(cut_off - 1) > (-30_f64).exp2());
    }
}
