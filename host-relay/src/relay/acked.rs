//! Envelopes that were acknowledged lately: a repeated submit of one is no second message.
//!
//! They are kept in two generations. When the younger one is full, the older one is dropped as a whole:
//! no order is kept. Nearly every message is new, so a small filter is asked first; and ids enter the
//! tables, which are larger than a core's cache, many at a time.
//!
//! They go to the disk many to a row, with whatever is committed next, and after a second at the
//! latest. So a crash forgets the last of them: a sender that never heard `accepted` may then have
//! its message delivered twice, and the recipient knows it by its id. Nothing is lost by it.

use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::mem;

use foldhash::fast::RandomState;
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;

use crate::ledger::Ledger;
use crate::store::Key;
use crate::store::record;

/// Ids in one row at most: more make a row by themselves.
const IN_ROW: usize = 4096;
/// Ids that are gathered before they enter the set.
const FRESH: usize = 1024;

type Acknowledged = (Address, EnvelopeId);

/// The newest acknowledged ids.
pub(super) struct Acked {
    generations: [Generation; 2],
    /// Over both.
    filter: Filter<2>,
    /// Which of them is the younger one.
    young: usize,
    /// Ids at which the young ones become the old ones.
    generation: usize,
    /// Young ones that are in no row yet.
    unwritten: Vec<Acknowledged>,
    /// So many of these are in the set already; the others are only in this filter.
    filed: usize,
    fresh: Filter<1>,
    /// The number of the first row of the old ones, of the young ones, and of the next row.
    old_from: u64,
    young_from: u64,
    next: u64,
    hasher: RandomState,
}

impl Acked {
    /// Remembers `generation` of them at least, and less than twice as many and a row.
    pub(super) fn new(generation: usize) -> Self {
        Self {
            generations: [Generation::new(generation), Generation::new(generation)],
            filter: Filter::new(generation),
            young: 0,
            generation,
            unwritten: Vec::new(),
            filed: 0,
            // A wrong guess looks through all of them.
            fresh: Filter::new(4 * FRESH),
            old_from: 0,
            young_from: 0,
            next: 0,
            hasher: RandomState::default(),
        }
    }

    /// Takes over a stored row, which is an old one.
    pub(super) fn load(&mut self, number: u64, list: Vec<Acknowledged>) {
        let old = 1 - self.young;
        if self.generations[old].ids.is_empty() {
            self.old_from = number;
        }
        for one in list {
            self.enter(old, one);
        }
    }

    /// All stored rows were taken over; `next` is the number of the first new one.
    pub(super) fn loaded(&mut self, next: u64) {
        self.next = next;
        self.young_from = next;
        if self.generations[1 - self.young].ids.is_empty() {
            self.old_from = next;
        }
    }

    pub(super) fn insert(&mut self, to: Address, id: EnvelopeId) {
        self.fresh.insert(0, self.hasher.hash_one((to, id)));
        self.unwritten.push((to, id));
        if self.unwritten.len() - self.filed >= FRESH {
            self.file();
        }
    }

    pub(super) fn contains(&self, to: &Address, id: &EnvelopeId) -> bool {
        let one = (*to, *id);
        let hash = self.hasher.hash_one(one);
        let [is_fresh] = self.fresh.may_contain(hash);
        let generations = self.generations.iter().zip(self.filter.may_contain(hash));
        is_fresh && self.not_filed().contains(&one)
            || generations
                .into_iter()
                .any(|(of, may)| may && of.contains(hash, &one))
    }

    fn enter(&mut self, generation: usize, one: Acknowledged) {
        self.filter.insert(generation, self.hasher.hash_one(one));
        self.generations[generation].insert(&self.hasher, one);
    }

    fn not_filed(&self) -> &[Acknowledged] {
        self.unwritten.get(self.filed..).unwrap_or_default()
    }

    /// Whether a row is full.
    pub(super) fn is_full(&self) -> bool {
        self.unwritten.len() >= IN_ROW
    }

    /// Makes a row of what has none. When the young ones are a generation, the old ones are forgotten.
    pub(super) fn write(&mut self, ledger: &mut Ledger) {
        if self.unwritten.is_empty() {
            return;
        }
        self.file();
        ledger.put(Key::Acked(self.next), record::emit_acked(&self.unwritten));
        self.unwritten.clear();
        self.filed = 0;
        self.next += 1;

        if self.generations[self.young].ids.len() >= self.generation {
            for row in self.old_from..self.young_from {
                ledger.delete(Key::Acked(row));
            }
            self.young = 1 - self.young;
            self.generations[self.young].clear();
            self.filter.clear(self.young);
            (self.old_from, self.young_from) = (self.young_from, self.next);
        }
    }

    /// Moves the fresh ones into the set: together, because each meets memory that no cache has, and the
    /// processor then waits for many at once.
    fn file(&mut self) {
        let unwritten = mem::take(&mut self.unwritten);
        let fresh = unwritten.get(self.filed..).unwrap_or_default();
        // A wrong guess at a slot would wait for one after the other; a sum guesses nothing.
        let slots = fresh.iter().map(|one| {
            let hash = self.hasher.hash_one(one);
            self.generations[self.young].slot(hash)
        });
        black_box(slots.fold(0, |sum: u32, slot| sum.wrapping_add(slot)));
        for one in fresh {
            self.enter(self.young, *one);
        }
        self.filed = unwritten.len();
        self.unwritten = unwritten;
        self.fresh.clear(0);
    }
}

/// Ids in the order in which they came, and a table of their places. The table is small, so that a core's caches
/// hold most of it; the ids are only written, until one is looked for that is there.
struct Generation {
    ids: Vec<Acknowledged>,
    /// At a hash, or behind it where that is taken: one more than the place in `ids`; 0 for none.
    places: Box<[u32]>,
}

impl Generation {
    fn new(len: usize) -> Self {
        Self {
            ids: Vec::new(),
            places: vec![0; (2 * len).next_power_of_two()].into(),
        }
    }

    fn insert(&mut self, hasher: &RandomState, one: Acknowledged) {
        let hash = hasher.hash_one(one);
        self.ids.push(one);
        if 2 * self.ids.len() > self.places.len() {
            self.places = vec![0; 2 * self.places.len()].into();
            for (place, one) in (1..).zip(&self.ids) {
                put(&mut self.places, hasher.hash_one(one), place);
            }
        } else {
            put(&mut self.places, hash, self.ids.len() as u32);
        }
    }

    /// What is at a hash.
    fn slot(&self, hash: u64) -> u32 {
        let slot = from(&self.places, hash).next();
        slot.and_then(|slot| self.places.get(slot))
            .map_or(0, |place| *place)
    }

    fn contains(&self, hash: u64, one: &Acknowledged) -> bool {
        from(&self.places, hash)
            .map_while(|slot| self.places.get(slot).filter(|place| **place > 0))
            .any(|place| self.ids.get(*place as usize - 1) == Some(one))
    }

    fn clear(&mut self) {
        self.ids.clear();
        self.places.fill(0);
    }
}

/// All slots, in the order in which a hash tries them.
fn from(places: &[u32], hash: u64) -> impl Iterator<Item = usize> + use<> {
    let mask = places.len() - 1;
    // The filter has the lower bits.
    let first = (hash >> 32) as usize;
    (0..places.len()).map(move |step| first.wrapping_add(step) & mask)
}

/// At least half of the slots are free.
fn put(places: &mut [u32], hash: u64, place: u32) {
    let free = from(places, hash).find(|slot| places.get(*slot) == Some(&0));
    if let Some(slot) = free.and_then(|slot| places.get_mut(slot)) {
        *slot = place;
    }
}

/// Bloom filters over `N` sets, whose bits for one id are in one word of each. Those words are beside each
/// other: one visit to memory asks all.
struct Filter<const N: usize>(Box<[[u64; N]]>);

impl<const N: usize> Filter<N> {
    /// Eight bits and more for each of `len` ids of a set; further ones make it less sharp.
    fn new(len: usize) -> Self {
        Self(vec![[0; N]; len.div_ceil(8).next_power_of_two()].into())
    }

    /// The word of a hash, and its three bits.
    fn place(&self, hash: u64) -> (usize, u64) {
        let bit = |shift: u32| 1 << (hash >> shift & 63);
        let bits = bit(0) | bit(6) | bit(12);
        ((hash >> 18) as usize & (self.0.len() - 1), bits)
    }

    fn insert(&mut self, set: usize, hash: u64) {
        let (word, bits) = self.place(hash);
        if let Some(words) = self.0.get_mut(word) {
            words[set] |= bits;
        }
    }

    /// Which of the sets may have it.
    fn may_contain(&self, hash: u64) -> [bool; N] {
        let (word, bits) = self.place(hash);
        let words = self.0.get(word).copied().unwrap_or([u64::MAX; N]);
        words.map(|word| word & bits == bits)
    }

    fn clear(&mut self, set: usize) {
        for words in &mut self.0 {
            words[set] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use super::*;
    use crate::store::{Embedded, Store as _, Table};

    fn one(number: u32) -> Acknowledged {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id[8..12].copy_from_slice(&number.to_be_bytes());
        (Address([number as u8; 20]), EnvelopeId(id))
    }

    fn knows(acked: &Acked, number: u32) -> bool {
        let (to, id) = one(number);
        acked.contains(&to, &id)
    }

    #[test]
    fn what_came_last_is_known_at_every_moment_and_after_a_start() {
        const GENERATION: u32 = 3_000;
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(folder.path(), 1 << 20).unwrap());
        let mut ledger = Ledger::new(Arc::<Embedded>::clone(&store)).unwrap();
        let mut acked = Acked::new(GENERATION as usize);
        for number in 1..=20_000 {
            let (to, id) = one(number);
            assert!(!acked.contains(&to, &id), "{number}");
            acked.insert(to, id);
            assert!(acked.contains(&to, &id), "{number}");
            if number % 701 == 0 {
                acked.write(&mut ledger);
                for back in [0, 1, 700, 1_500, GENERATION - 1] {
                    assert!(
                        knows(&acked, number.saturating_sub(back).max(1)),
                        "{number}"
                    );
                }
            }
        }
        acked.write(&mut ledger);
        assert!(!knows(&acked, 20_000 - 2 * GENERATION - 2 * 701));

        store.commit(&ledger.poll_commit().unwrap()).unwrap();
        let mut started = Acked::new(GENERATION as usize);
        let load = &mut |number, row: &[u8]| {
            started.load(number, record::parse_acked(row).unwrap());
            ControlFlow::Continue(())
        };
        let walked = store.walk(Table::Acked, 0, load).unwrap();
        started.loaded(walked.next);
        assert!((1..=20_000).all(|number| knows(&started, number) == knows(&acked, number)));
    }

    #[test]
    fn few_strangers_pass_the_filter_of_a_full_generation() {
        let hasher = RandomState::default();
        let mut filter = Filter::<2>::new(100_000);
        (0..100_000).for_each(|number| filter.insert(1, hasher.hash_one(one(number))));
        let strangers = 100_000..200_000;
        let answers = strangers.map(|number| filter.may_contain(hasher.hash_one(one(number))));
        let passed = answers.fold([0, 0], |[no, yes], may| {
            [no + u32::from(may[0]), yes + u32::from(may[1])]
        });
        assert_eq!(passed[0], 0, "the other set is empty");
        assert!(passed[1] < 6_000, "{passed:?}");
    }
}
