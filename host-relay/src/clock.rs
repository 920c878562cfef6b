//! Time that cannot jump.
//!
//! Messages expire by the time that the relay *ran*, not by the machine's clock: a clock that jumps
//! by years, in either direction, must expire nothing. What a stop adds is what the machine's
//! clock says, but never more than a limit.
//!
//! The running clock is durable and never goes back, a crash included: the store holds a *ceiling*
//! that it stays below, and a start goes on from the ceiling. So sequences that are
//! taken from it rise in each mailbox without a write of their own, and fall behind
//! what clients remember when an older copy of the store is put back.
//!
//! A start takes it ahead of the time that went by, so the clock of expiry takes that back: a relay
//! that is started again and again expires nothing by it. Where the machine's clock went back, too, a
//! start may take the clock of expiry back, by two minutes at most.

use std::time::Duration;

use crate::store::StoreError;

/// What the caller's clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Microseconds on a clock that never goes back, from any start.
    pub mono_us: u64,
    /// Seconds since 1970 by the machine's clock; may be anything.
    pub unix_s: u64,
}

/// How far ahead of the clock its ceiling is stored: a start adds at most this to the running clock.
const AHEAD_S: u64 = 120;
const AHEAD_US: u64 = AHEAD_S * 1_000_000;
/// How far below the ceiling the clock asks for a new one.
const MARGIN_US: u64 = 60_000_000;

/// The relay's durable clocks.
#[derive(Debug)]
pub(crate) struct Clock {
    /// The running clock at `started_us` of the caller's.
    base_us: u64,
    started_us: u64,
    ceiling_us: u64,
    /// A ceiling on its way to the disk.
    asked_us: Option<u64>,
    /// What the expiry clock has beyond the running one: stops add to it, and each start takes from it
    /// what the running clock was taken ahead.
    credit_s: i64,
}

impl Clock {
    /// Goes on from the stored row (`None` for a new store). The caller stores `row` before it uses
    /// the clock.
    pub(crate) fn restore(
        row: Option<&[u8]>,
        now: Now,
        longest_stop: Duration,
    ) -> Result<Self, StoreError> {
        // A new store starts at one second: sequence 0 means none.
        let (base_us, credit_s, stopped_s) = match row {
            None => (1_000_000, 0, now.unix_s),
            Some(row) => parse(row)?,
        };
        let stop_s = now
            .unix_s
            .saturating_sub(stopped_s)
            .min(longest_stop.as_secs());
        let ceiling_us = base_us + AHEAD_US;
        // The row was written when the running clock was so far below its ceiling, at `stopped_s`.
        let ahead_s = if row.is_some() { AHEAD_S } else { 0 };
        let credit_s = credit_s + stop_s as i64 - ahead_s as i64;
        Ok(Self {
            base_us,
            started_us: now.mono_us,
            ceiling_us,
            asked_us: None,
            credit_s,
        })
    }

    /// The row that makes the present ceiling durable.
    pub(crate) fn row(&self, now: Now) -> Vec<u8> {
        emit(self.ceiling_us, self.credit_s, now.unix_s)
    }

    /// Asks for a higher ceiling when it is near: the row to store. The clock stays below the old
    /// one until `settle` says that the row is durable.
    pub(crate) fn raise(&mut self, now: Now) -> Option<Vec<u8>> {
        let reading = self.unbounded_us(now);
        if self.asked_us.is_some() || reading + MARGIN_US < self.ceiling_us {
            return None;
        }
        let asked_us = reading + AHEAD_US;
        self.asked_us = Some(asked_us);
        Some(emit(asked_us, self.credit_s, now.unix_s))
    }

    /// What became of the row that `raise` gave, if it gave one.
    pub(crate) fn settle(&mut self, durable: bool) {
        if let Some(asked_us) = self.asked_us.take()
            && durable
        {
            self.ceiling_us = asked_us;
        }
    }

    /// Microseconds that the relay ran, over all its starts.
    pub(crate) fn running_us(&self, now: Now) -> u64 {
        self.unbounded_us(now).min(self.ceiling_us)
    }

    /// Seconds by which messages expire.
    pub(crate) fn expiry_s(&self, now: Now) -> u64 {
        (self.running_us(now) / 1_000_000).saturating_add_signed(self.credit_s)
    }

    fn unbounded_us(&self, now: Now) -> u64 {
        self.base_us + now.mono_us.saturating_sub(self.started_us)
    }
}

fn emit(ceiling_us: u64, credit_s: i64, unix_s: u64) -> Vec<u8> {
    [ceiling_us, credit_s.cast_unsigned(), unix_s]
        .map(u64::to_be_bytes)
        .concat()
}

fn parse(row: &[u8]) -> Result<(u64, i64, u64), StoreError> {
    let (words, rest) = row.as_chunks::<8>();
    match (words, rest) {
        ([a, b, c], []) => Ok((
            u64::from_be_bytes(*a),
            i64::from_be_bytes(*b),
            u64::from_be_bytes(*c),
        )),
        _ => Err(StoreError::Damaged("the clock is unreadable".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    const YEAR: u64 = 365 * DAY;
    const STOP: Duration = Duration::from_secs(DAY);

    fn at(mono_s: u64, unix_s: u64) -> Now {
        Now {
            mono_us: mono_s * 1_000_000,
            unix_s,
        }
    }

    #[test]
    fn jumps_of_the_machines_clock_change_nothing_while_running() {
        let mut clock = Clock::restore(None, at(0, 30 * YEAR), STOP).unwrap();
        let before = clock.expiry_s(at(10, 30 * YEAR));
        clock.raise(at(10, 90 * YEAR));
        clock.settle(true);
        assert_eq!(clock.expiry_s(at(11, 90 * YEAR)), before + 1);
        assert_eq!(clock.expiry_s(at(12, 0)), before + 2);
    }

    #[test]
    fn a_stop_adds_what_the_clock_says_up_to_the_limit() {
        let first = Clock::restore(None, at(0, 1000), STOP).unwrap();
        let row = first.row(at(0, 1000));
        let expiry = |unix_s| {
            let clock = Clock::restore(Some(&row), at(0, unix_s), STOP).unwrap();
            clock.expiry_s(at(0, unix_s)) - first.expiry_s(at(0, 1000))
        };
        assert_eq!(expiry(1000 + 600), 600);
        assert_eq!(expiry(1000 + 50 * YEAR), DAY);
        assert_eq!(expiry(0), 0);
    }

    #[test]
    fn starts_without_end_expire_nothing() {
        let mut row = None;
        let begin_s = Clock::restore(None, at(0, 0), STOP).unwrap();
        let begin_s = begin_s.expiry_s(at(0, 0));
        for unix_s in (0..DAY).step_by(2) {
            let clock = Clock::restore(row.as_deref(), at(0, unix_s), STOP).unwrap();
            row = Some(clock.row(at(0, unix_s)));
            assert_eq!(clock.expiry_s(at(0, unix_s)), begin_s + unix_s);
        }
        // Nor where the machine has no clock.
        for _ in 0..1000 {
            let clock = Clock::restore(row.as_deref(), at(0, 0), STOP).unwrap();
            row = Some(clock.row(at(0, 0)));
            assert!(clock.expiry_s(at(0, 0)) <= begin_s + DAY);
        }
    }

    #[test]
    fn a_crash_never_takes_the_clock_back() {
        let mut clock = Clock::restore(None, at(0, 0), STOP).unwrap();
        let mut stored = clock.row(at(0, 0));
        let mut latest = 0;
        for second in 0..1_000 {
            if let Some(row) = clock.raise(at(second, 0)) {
                stored = row;
                clock.settle(true);
            }
            latest = clock.running_us(at(second, 0));
            let after_crash = Clock::restore(Some(&stored), at(0, 0), STOP).unwrap();
            assert!(after_crash.running_us(at(0, 0)) >= latest);
        }
        assert!(latest >= 999_000_000);
    }

    #[test]
    fn without_a_durable_ceiling_the_clock_stands() {
        let mut clock = Clock::restore(None, at(0, 0), STOP).unwrap();
        assert!(clock.raise(at(100, 0)).is_some());
        assert!(clock.raise(at(101, 0)).is_none(), "one row at a time");
        clock.settle(false);
        assert_eq!(clock.running_us(at(100_000, 0)), 1_000_000 + AHEAD_US);
        assert!(clock.raise(at(100_000, 0)).is_some());
        clock.settle(true);
        assert_eq!(
            clock.running_us(at(100_000, 0)),
            1_000_000 + 100_000_000_000
        );
    }
}
