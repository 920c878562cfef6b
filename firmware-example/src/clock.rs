//! The endpoint's clock: milliseconds of running time, restarts included, that never go back.
//!
//! A device knows no date, and needs none. What the store has written is where the next life begins;
//! so that a life without messages counts, too, the time is written at least once an hour.

/// Milliseconds after which the time is written though nothing else is.
const KEEP_EVERY: u64 = 60 * 60 * 1000;

/// See the module.
#[derive(Debug)]
pub struct Clock {
    /// What is added to the time since power on.
    base: u64,
    latest: u64,
    kept: u64,
}

impl Clock {
    /// Begins where the store says that the last life had come to at least; `uptime` is the time
    /// since power on in milliseconds.
    #[must_use]
    pub const fn resume(stored: u64, uptime: u64) -> Self {
        // One step on: what was told twice is told in an order.
        let start = stored.saturating_add(1);
        Self {
            base: start.saturating_sub(uptime),
            latest: start,
            kept: start,
        }
    }

    /// The time at `uptime` milliseconds since power on.
    pub fn at(&mut self, uptime: u64) -> u64 {
        self.latest = self.latest.max(self.base.saturating_add(uptime));
        self.latest
    }

    /// Whether the time is to be written now; asks for it once.
    pub const fn is_due(&mut self) -> bool {
        let due = self.latest.saturating_sub(self.kept) >= KEEP_EVERY;
        if due {
            self.kept = self.latest;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let mut stored = 0;
        for uptime in [0, 5, 1_000_000, 3] {
            let mut clock = Clock::resume(stored, uptime);
            let mut last = stored;
            for later in [uptime, uptime + 10, uptime + 5, 0, uptime + 4000] {
                let now = clock.at(later);
                assert!(now >= last, "{now} before {last}");
                last = now;
            }
            assert!(last > stored);
            stored = last;
        }
        assert!(stored >= 4 * 4000, "{stored}");
        assert_eq!(Clock::resume(u64::MAX, 7).at(u64::MAX), u64::MAX);
    }

    #[test]
    fn an_idle_hour_is_written_once() {
        let mut clock = Clock::resume(100, 0);
        clock.at(KEEP_EVERY - 1);
        assert!(!clock.is_due());
        clock.at(KEEP_EVERY);
        assert!(clock.is_due() && !clock.is_due());
    }
}
