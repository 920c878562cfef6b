//! How long to wait before the next try: exponential, with jitter.

const FIRST_MS: u64 = 500;
const LONGEST_MS: u64 = 60_000;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff(u8);

impl Backoff {
    /// No failure yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Begins anew.
    pub const fn reset(&mut self) {
        self.0 = 0;
    }

    /// The next pause in milliseconds: between half and all of a doubling time, so that a relay's
    /// devices do not come back in one moment. `random` is any number.
    pub fn next(&mut self, random: u32) -> u64 {
        let whole = (FIRST_MS << self.0.min(16)).min(LONGEST_MS);
        self.0 = self.0.saturating_add(1);
        let half = whole / 2;
        half + u64::from(random) % (half + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        for whole in [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            for random in [0, 77, u32::MAX] {
                let pause = Backoff(backoff.0).next(random);
                assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
            }
            backoff.next(0);
        }
        let pauses: Vec<_> = (0..500).map(|n| Backoff(3).next(n * 7919)).collect();
        assert!(
            pauses.iter().max().unwrap() - pauses.iter().min().unwrap() > 1500,
            "jitter"
        );
        for _ in 0..1000 {
            backoff.next(1);
        }
        backoff.reset();
        assert!(backoff.next(3) <= FIRST_MS);
    }
}
