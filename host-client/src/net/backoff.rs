//! How long to wait before the next try: exponential, with jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(60);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// A link was up: begin anew.
    pub(crate) fn reset(&mut self) {
        self.0 = 0;
    }

    /// The next pause: between half and all of a doubling time, so that a relay's clients do not
    /// come back in one moment. `random` is any number.
    pub(crate) fn next(&mut self, random: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.0.min(16)).min(LONGEST);
        self.0 = self.0.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let most: Vec<_> = (0..12).map(|_| backoff.next(u32::MAX)).collect();
        assert_eq!(most[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(most[11], LONGEST);
        backoff.reset();
        assert_eq!(backoff.next(0), FIRST / 2);
        for _ in 0..100 {
            assert!(backoff.next(7) >= FIRST / 2);
        }
    }
}
