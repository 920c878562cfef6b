//! Who is connected from where: no network address takes more than its part of the relay.
//!
//! Counted before a byte is read, so that a refusal costs no task and no cryptography.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::rate::{Bucket, Rate};

/// From so many known addresses on, those that need not be remembered are forgotten each time that their
/// number has doubled.
const SWEPT_ABOVE: usize = 4096;

/// All that are connected, and who came too often of late. 0 means no bound.
pub(crate) struct Guests {
    /// Connections of one address at a time.
    most: u32,
    /// Connections of one address in a second, and at once.
    per_second: u32,
    since: Instant,
    /// A plain lock: held for a look-up, never across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    guests: HashMap<IpAddr, Guest>,
    /// How many there were behind the last sweep.
    swept: usize,
}

#[derive(Default)]
struct Guest {
    open: u32,
    bucket: Bucket,
}

/// One connection's place; it is given back when this is dropped.
pub(crate) struct Place {
    guests: Arc<Guests>,
    from: IpAddr,
}

impl Guests {
    pub(crate) fn new(most: u32, per_second: u32) -> Arc<Self> {
        Arc::new(Self {
            most,
            per_second,
            since: Instant::now(),
            known: Mutex::default(),
        })
    }

    /// A place for one more connection from `from`, or `None` where it has too many already.
    pub(crate) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let now_us = self.since.elapsed().as_micros() as u64;
        self.admit_at(from, now_us)
    }

    fn admit_at(self: &Arc<Self>, from: IpAddr, now_us: u64) -> Option<Place> {
        let from = household(from);
        // Behind a panic the counts are still counts.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.guests.len() > SWEPT_ABOVE.max(2 * known.swept) {
            let is_needed = |guest: &mut Guest| guest.open > 0 || !guest.bucket.is_full(now_us);
            known.guests.retain(|_, guest| is_needed(guest));
            known.swept = known.guests.len();
        }
        let guest = known.guests.entry(from).or_default();
        if self.most > 0 && guest.open >= self.most {
            return None;
        }
        let rate = Rate::per_second(self.per_second, self.per_second);
        if self.per_second > 0 && guest.bucket.take(now_us, rate).is_err() {
            return None;
        }
        guest.open += 1;
        Some(Place {
            guests: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self
            .guests
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(guest) = known.guests.get_mut(&self.from) else {
            return;
        };
        guest.open = guest.open.saturating_sub(1);
        // Its bucket must outlive it, where there is one.
        if guest.open == 0 && self.guests.per_second == 0 {
            known.guests.remove(&self.from);
        }
    }
}

/// Whoever has one address of IPv6 has the other 2^64 of its network, too.
fn household(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_counted_by_address_and_come_back() {
        let guests = Guests::new(2, 0);
        let first = guests.admit(ip("192.0.2.1")).unwrap();
        let _second = guests.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert!(guests.admit(ip("192.0.2.1")).is_none());
        assert!(guests.admit(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(guests.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let guests = Guests::new(1, 0);
        let _place = guests.admit(ip("2001:db8::1")).unwrap();
        assert!(guests.admit(ip("2001:db8::ffff:1")).is_none());
        assert!(guests.admit(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn who_comes_too_often_waits_and_closing_does_not_help() {
        let guests = Guests::new(0, 2);
        assert!(guests.admit_at(ip("192.0.2.1"), 0).is_some());
        assert!(guests.admit_at(ip("192.0.2.1"), 0).is_some());
        assert!(guests.admit_at(ip("192.0.2.1"), 0).is_none());
        assert!(guests.admit_at(ip("192.0.2.1"), 500_000).is_some());
    }

    #[test]
    fn strangers_are_forgotten() {
        let guests = Guests::new(0, 10);
        for n in 0..20_000u32 {
            let from = IpAddr::V4(n.into());
            drop(guests.admit_at(from, u64::from(n) * 1_000_000));
        }
        assert!(guests.known.lock().unwrap().guests.len() <= SWEPT_ABOVE + 1);
    }

    /// Each address still counts: a sweep at every one of them would look at all of them in vain.
    #[test]
    fn those_that_are_remembered_are_not_swept_at_each_arrival() {
        let guests = Guests::new(0, 10);
        for n in 0..3 * SWEPT_ABOVE as u32 {
            drop(guests.admit_at(IpAddr::V4(n.into()), 0));
        }
        let known = guests.known.lock().unwrap();
        assert_eq!(known.guests.len(), 3 * SWEPT_ABOVE);
        assert!(known.swept > SWEPT_ABOVE && known.swept < 3 * SWEPT_ABOVE);
    }
}
