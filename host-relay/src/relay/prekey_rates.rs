//! Who took one-time prekeys of whom, lately.
//!
//! Pairs are kept in two generations: when the younger one is full, the older one is forgotten. So
//! strangers cannot fill it against others; whoever makes it forget a pair had to ask for tens of
//! thousands of bundles, and gets a prekey more of one owner by it.

use std::mem;

use foldhash::HashMap;
use hushwire_core::identity::Address;

use crate::rate::{Bucket, Rate};

/// Pairs of a generation, of about 80 bytes each.
const GENERATION: usize = 50_000;

type Pair = (Address, Address);

#[derive(Default)]
pub(super) struct PrekeyRates {
    young: HashMap<Pair, Bucket>,
    old: HashMap<Pair, Bucket>,
}

impl PrekeyRates {
    /// Whether the asker may take one more of the owner's.
    pub(super) fn take(&mut self, asker: Address, owner: Address, now_us: u64, rate: Rate) -> bool {
        let pair = (asker, owner);
        if !self.young.contains_key(&pair) {
            if self.young.len() >= GENERATION {
                self.old = mem::take(&mut self.young);
            }
            let known = self.old.remove(&pair).unwrap_or_default();
            self.young.insert(pair, known);
        }
        let bucket = self.young.entry(pair).or_default();
        bucket.take(now_us, rate).is_ok()
    }

    /// Forgets who may take as many as anybody.
    pub(super) fn tick(&mut self, now_us: u64) {
        for pairs in [&mut self.young, &mut self.old] {
            pairs.retain(|_, bucket| !bucket.is_full(now_us));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_neither_fill_it_nor_make_it_forget_lightly() {
        let rate = Rate {
            interval_us: 3_600_000_000,
            burst: 2,
        };
        let (alice, bob) = (Address([1; 20]), Address([2; 20]));
        let mut rates = PrekeyRates::default();
        assert!(rates.take(alice, bob, 0, rate));
        let stranger = |n: u32| {
            let mut address = [0; 20];
            address[..4].copy_from_slice(&n.to_be_bytes());
            Address(address)
        };
        for n in 0..GENERATION as u32 {
            assert!(rates.take(stranger(n), bob, 0, rate), "{n}");
        }
        assert!(rates.take(alice, bob, 0, rate));
        assert!(!rates.take(alice, bob, 0, rate), "she had two");
        for n in 0..3 * GENERATION as u32 {
            assert!(rates.take(stranger(n), alice, 0, rate), "{n}");
        }
        assert!(rates.young.len() + rates.old.len() <= 2 * GENERATION);
        rates.tick(2 * 3_600_000_000);
        assert!(rates.young.is_empty() && rates.old.is_empty());
    }
}
