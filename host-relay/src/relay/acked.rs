//! Envelopes that were acknowledged lately: a repeated submit of one is no second message.
//!
//! They are kept in two generations. When the younger one is full, the older one is dropped as a whole:
//! no order is kept, and a message costs one look.
//!
//! They go to the disk many to a row, with whatever is committed next, and after a second at the
//! latest. So a crash forgets the last of them: a sender that never heard `accepted` may then have
//! its message delivered twice, and the recipient knows it by its id. Nothing is lost by it.

use std::collections::hash_map::Entry;

use foldhash::HashMap;
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;

use crate::ledger::Ledger;
use crate::store::Key;
use crate::store::record;

/// Ids in one row at most: more make a row by themselves.
const IN_ROW: usize = 4096;

type Acknowledged = (Address, EnvelopeId);

/// The newest acknowledged ids.
#[derive(Default)]
pub(super) struct Acked {
    /// Each with whether it is young.
    known: HashMap<Acknowledged, bool>,
    young: usize,
    /// Of the young ones, those that are in no row yet.
    unwritten: Vec<Acknowledged>,
    /// The number of the first row of the old ones, of the young ones, and of the next row.
    old_from: u64,
    young_from: u64,
    next: u64,
}

impl Acked {
    /// Takes over a stored row, which is an old one.
    pub(super) fn load(&mut self, number: u64, list: Vec<Acknowledged>) {
        if self.known.is_empty() {
            self.old_from = number;
        }
        self.known.extend(list.into_iter().map(|one| (one, false)));
        self.next = number + 1;
        self.young_from = self.next;
    }

    pub(super) fn insert(&mut self, to: Address, id: EnvelopeId) {
        if let Entry::Vacant(place) = self.known.entry((to, id)) {
            place.insert(true);
            self.young += 1;
            self.unwritten.push((to, id));
        }
    }

    pub(super) fn contains(&self, to: &Address, id: &EnvelopeId) -> bool {
        self.known.contains_key(&(*to, *id))
    }

    /// Whether a row is full.
    pub(super) fn is_full(&self) -> bool {
        self.unwritten.len() >= IN_ROW
    }

    /// Makes a row of what has none. With `generation` young ones and more, the old ones are forgotten.
    pub(super) fn write(&mut self, ledger: &mut Ledger, generation: usize) {
        if self.unwritten.is_empty() {
            return;
        }
        ledger.put(Key::Acked(self.next), record::emit_acked(&self.unwritten));
        self.unwritten.clear();
        self.next += 1;

        if self.young >= generation {
            for row in self.old_from..self.young_from {
                ledger.delete(Key::Acked(row));
            }
            self.known.retain(|_, young| std::mem::take(young));
            self.young = 0;
            (self.old_from, self.young_from) = (self.young_from, self.next);
        }
    }
}
