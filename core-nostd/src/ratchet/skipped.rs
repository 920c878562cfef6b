//! Keys of messages that have not come yet: bounded, newest kept.

use super::{chain::ChainKey, header::HeaderKey, message::MessageKey};
use crate::crypto::secret::wipe;

/// Which receiving chain a kept key belongs to. The order is age: the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Chain {
    Oldest = 1,
    Older = 2,
    Current = 3,
}

const EMPTY: u8 = 0;

/// Up to `N` kept message keys of the current chain and of two before it.
///
/// 37 bytes a key: plain arrays, so that nothing is lost to alignment.
pub(crate) struct Skipped<const N: usize> {
    pub(crate) keys: [[u8; 32]; N],
    pub(crate) numbers: [u32; N],
    pub(crate) chains: [u8; N],
    /// Header keys of [`Chain::Older`] and [`Chain::Oldest`].
    pub(crate) headers: [HeaderKey; 2],
}

impl<const N: usize> core::fmt::Debug for Skipped<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            keys: _,
            numbers,
            chains,
            headers: _,
        } = self;
        f.debug_struct("Skipped")
            .field("numbers", numbers)
            .field("chains", chains)
            .finish()
    }
}

impl<const N: usize> Drop for Skipped<N> {
    fn drop(&mut self) {
        wipe(self.keys.as_flattened_mut());
    }
}

impl<const N: usize> Skipped<N> {
    pub(crate) const fn new() -> Self {
        Self {
            keys: [[0; 32]; N],
            numbers: [0; N],
            chains: [EMPTY; N],
            headers: [HeaderKey::new([0; 32]), HeaderKey::new([0; 32])],
        }
    }

    /// How many keys are kept.
    pub(crate) fn len(&self) -> usize {
        self.chains.iter().filter(|chain| **chain != EMPTY).count()
    }

    /// The header keys under which a kept message may come, with their chains.
    pub(crate) fn older_headers(&self) -> impl Iterator<Item = (Chain, &HeaderKey)> {
        let [older, oldest] = &self.headers;
        [(Chain::Older, older), (Chain::Oldest, oldest)]
            .into_iter()
            .filter(|(chain, _)| self.chains.contains(&(*chain as u8)))
    }

    fn find(&self, chain: Chain, n: u32) -> Option<usize> {
        self.chains
            .iter()
            .zip(&self.numbers)
            .position(|(tag, number)| *tag == chain as u8 && *number == n)
    }

    /// A copy of a kept key: it is spent only once the message has verified.
    pub(crate) fn key(&self, chain: Chain, n: u32) -> Option<MessageKey> {
        self.find(chain, n)
            .and_then(|at| self.keys.get(at))
            .map(|key| MessageKey::new(*key))
    }

    /// Wipes a kept key.
    pub(crate) fn spend(&mut self, chain: Chain, n: u32) {
        if let Some(at) = self.find(chain, n) {
            self.wipe(at);
        }
    }

    /// Whether a key is kept.
    pub(crate) fn holds(&self, chain: u8, n: u32) -> bool {
        let mut places = self.chains.iter().zip(&self.numbers);
        places.any(|(tag, number)| (*tag, *number) == (chain, n) && chain != EMPTY)
    }

    /// Wipes every key but those that `keep` names.
    pub(crate) fn forget_but(&mut self, keep: impl Fn(u8, u32) -> bool) {
        for at in 0..N {
            let place = self
                .chains
                .get(at)
                .copied()
                .zip(self.numbers.get(at).copied());
            if place.is_some_and(|(chain, n)| chain != EMPTY && !keep(chain, n)) {
                self.wipe(at);
            }
        }
    }

    /// Keeps a key of the current chain in a free place. `false`: there is none.
    pub(crate) fn put(&mut self, n: u32, key: &MessageKey) -> bool {
        let free = self.chains.contains(&EMPTY);
        if free {
            self.keep(n, key);
        }
        free
    }

    fn wipe(&mut self, at: usize) {
        if let Some(key) = self.keys.get_mut(at) {
            wipe(key);
        }
        if let Some(chain) = self.chains.get_mut(at) {
            *chain = EMPTY;
        }
    }

    fn keep(&mut self, n: u32, key: &MessageKey) {
        // A free place, else the oldest key's: chains by age, then numbers.
        let ages = self.chains.iter().zip(&self.numbers).enumerate();
        let oldest = ages.min_by_key(|(_, (chain, number))| (**chain, **number));
        let Some((at, _)) = oldest else { return };
        self.wipe(at);
        let places = self
            .keys
            .get_mut(at)
            .zip(self.numbers.get_mut(at))
            .zip(self.chains.get_mut(at));
        if let Some(((slot, number), chain)) = places {
            *slot = *key.bytes();
            *number = n;
            *chain = Chain::Current as u8;
        }
    }

    /// Keeps the keys of `from..to` of the current chain, whose key stands at `from`, and returns
    /// the chain at `to`. Of more than `N`, the newest.
    pub(crate) fn keep_range(&mut self, key: &ChainKey, from: u32, to: u32) -> ChainKey {
        let mut key = ChainKey::new(*key.bytes());
        let first_kept = to.saturating_sub(u32::try_from(N).unwrap_or(u32::MAX));
        for n in from..to {
            let (message, next) = key.step();
            if n >= first_kept {
                self.keep(n, &message);
            }
            key = next;
        }
        key
    }

    /// The current chain ends: its kept keys age, the oldest chain's are wiped.
    pub(crate) fn retire(&mut self, header: &HeaderKey) {
        if !self.chains.contains(&(Chain::Current as u8)) {
            return;
        }
        for at in 0..N {
            match self.chains.get(at) {
                Some(&tag) if tag == Chain::Oldest as u8 => self.wipe(at),
                Some(&tag) if tag != EMPTY => {
                    if let Some(slot) = self.chains.get_mut(at) {
                        *slot = tag - 1;
                    }
                }
                _ => {}
            }
        }
        let [older, oldest] = &mut self.headers;
        core::mem::swap(older, oldest);
        *older = HeaderKey::new(*header.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> ChainKey {
        ChainKey::new([7; 32])
    }

    #[test]
    fn the_newest_are_kept() {
        let mut skipped = Skipped::<4>::new();
        let end = skipped.keep_range(&chain(), 0, 10);
        assert_eq!(end.bytes(), chain().advanced(10).bytes());
        assert_eq!(skipped.len(), 4);
        for n in 0..10 {
            let key = skipped.key(Chain::Current, n);
            assert_eq!(key.is_some(), n >= 6, "{n}");
            if let Some(key) = key {
                assert_eq!(key.bytes(), chain().advanced(n).message_key().bytes());
            }
        }
    }

    #[test]
    fn a_spent_key_is_wiped_and_its_place_is_free() {
        let mut skipped = Skipped::<2>::new();
        skipped.keep_range(&chain(), 0, 2);
        skipped.spend(Chain::Current, 1);
        assert!(skipped.key(Chain::Current, 1).is_none());
        assert_eq!(
            skipped.keys.iter().filter(|key| **key == [0; 32]).count(),
            1
        );
        skipped.keep_range(&chain().advanced(5), 5, 6);
        assert!(
            skipped.key(Chain::Current, 0).is_some(),
            "a free place goes first"
        );
    }

    #[test]
    fn three_chains_then_the_oldest_goes() {
        let mut skipped = Skipped::<8>::new();
        for chain_number in 1..=3_u8 {
            skipped.keep_range(&chain(), 0, 1);
            skipped.retire(&HeaderKey::new([chain_number; 32]));
        }
        assert_eq!(skipped.len(), 2);
        let chains: std::vec::Vec<_> = skipped
            .older_headers()
            .map(|(chain, key)| (chain, key.bytes()[0]))
            .collect();
        assert_eq!(chains, [(Chain::Older, 3), (Chain::Oldest, 2)]);
        skipped.retire(&HeaderKey::new([9; 32]));
        assert_eq!(skipped.len(), 2, "a chain without kept keys displaces none");
    }
}
