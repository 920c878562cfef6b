//! A token bucket as one number: the generic cell rate algorithm.

/// How often something may happen: `burst` at once, then one each `interval_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) interval_us: u64,
    pub(crate) burst: u64,
}

impl Rate {
    /// `burst` at once, then `per_second`.
    pub(crate) fn per_second(per_second: u32, burst: u32) -> Self {
        Self {
            interval_us: 1_000_000 / u64::from(per_second.max(1)),
            burst: u64::from(burst.max(1)),
        }
    }
}

/// The state of one bucket: when it would be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    full_at_us: u64,
}

impl Bucket {
    /// Takes one token, or tells in how many seconds there is one.
    pub(crate) fn take(&mut self, now_us: u64, rate: Rate) -> Result<(), u32> {
        let full_at_us = self.full_at_us.max(now_us).saturating_add(rate.interval_us);
        let depth_us = rate.interval_us.saturating_mul(rate.burst);
        let wait_us = full_at_us.saturating_sub(now_us.saturating_add(depth_us));
        if wait_us > 0 {
            return Err(wait_us.div_ceil(1_000_000).try_into().unwrap_or(u32::MAX));
        }
        self.full_at_us = full_at_us;
        Ok(())
    }

    /// A full bucket need not be remembered.
    pub(crate) fn is_full(&self, now_us: u64) -> bool {
        self.full_at_us <= now_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings may name ten years and four billions of them.
    #[test]
    fn what_is_very_large_bounds_nothing_and_overflows_nowhere() {
        let rate = Rate {
            interval_us: 10 * 365 * 86_400 * 1_000_000,
            burst: u64::from(u32::MAX),
        };
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert_eq!(bucket.take(5_000_000, rate), Ok(()));
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::per_second(2, 3);
        let mut bucket = Bucket::default();
        let now = 5_000_000;
        for _ in 0..3 {
            assert_eq!(bucket.take(now, rate), Ok(()));
        }
        assert_eq!(bucket.take(now, rate), Err(1));
        assert_eq!(bucket.take(now + 499_999, rate), Err(1));
        assert_eq!(bucket.take(now + 500_000, rate), Ok(()));
        assert!(!bucket.is_full(now + 500_000));
        assert!(bucket.is_full(now + 2_000_000));
    }

    #[test]
    fn a_slow_rate_tells_how_long() {
        let rate = Rate {
            interval_us: 3_600_000_000,
            burst: 1,
        };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(0, rate), Ok(()));
        assert_eq!(bucket.take(0, rate), Err(3_600));
    }
}
