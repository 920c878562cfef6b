//! How often: a token bucket as one number (the generic cell rate algorithm), and what is said seldom.

use std::time::Duration;

use tokio::time::Instant;

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
        let full_at_us = self.full_at_us.max(now_us) + rate.interval_us;
        let depth_us = rate.interval_us.saturating_mul(rate.burst);
        let wait_us = full_at_us.saturating_sub(now_us + depth_us);
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

/// Lets what would fill the log be said now and then.
#[derive(Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(10);

    /// Whether it may be said again.
    pub(crate) fn may(&mut self) -> bool {
        let now = Instant::now();
        let may = self.0.is_none_or(|last| now - last >= Self::PAUSE);
        if may {
            self.0 = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[tokio::test(start_paused = true)]
    async fn what_happens_often_is_said_now_and_then() {
        let (mut seldom, mut said) = (Seldom::default(), 0);
        for _ in 0..600 {
            said += u32::from(seldom.may());
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert_eq!(said, 3, "in half a minute");
    }
}
