//! Envelopes that were acknowledged lately: a repeated submit of one is no second message.
//!
//! They go to the disk many to a row, with whatever is committed next, and after a second at the
//! latest. So a crash forgets the last of them: a sender that never heard `accepted` may then have
//! its message delivered twice, and the recipient knows it by its id. Nothing is lost by it.

use std::collections::VecDeque;

use foldhash::HashSet;
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;

use crate::ledger::Ledger;
use crate::store::Key;
use crate::store::record;

/// Ids in one row at most: more make a row by themselves.
const IN_ROW: usize = 4096;

/// The newest acknowledged ids, oldest first.
#[derive(Default)]
pub(super) struct Acked {
    known: HashSet<(Address, EnvelopeId)>,
    /// Each with the number of its row.
    order: VecDeque<(u64, Address, EnvelopeId)>,
    /// The number of the next row.
    next: u64,
    /// How many at the end of `order` are for the next row.
    unwritten: usize,
}

impl Acked {
    /// Takes over a stored row.
    pub(super) fn load(
        &mut self,
        number: u64,
        list: impl IntoIterator<Item = (Address, EnvelopeId)>,
    ) {
        self.next = number;
        list.into_iter().for_each(|(to, id)| self.insert(to, id));
        self.next = number + 1;
        self.unwritten = 0;
    }

    pub(super) fn insert(&mut self, to: Address, id: EnvelopeId) {
        if self.known.insert((to, id)) {
            self.order.push_back((self.next, to, id));
            self.unwritten += 1;
        }
    }

    pub(super) fn contains(&self, to: &Address, id: &EnvelopeId) -> bool {
        self.known.contains(&(*to, *id))
    }

    /// Whether a row is full.
    pub(super) fn is_full(&self) -> bool {
        self.unwritten >= IN_ROW
    }

    /// Makes a row of what has none, and forgets the oldest beyond `limit`.
    pub(super) fn write(&mut self, ledger: &mut Ledger, limit: usize) {
        if self.unwritten == 0 {
            return;
        }
        let written = self.order.len() - self.unwritten;
        let list = self.order.range(written..).map(|(_, to, id)| (to, id));
        ledger.put(Key::Acked(self.next), record::emit_acked(list));
        self.next += 1;
        self.unwritten = 0;

        while self.order.len() > limit {
            let Some((row, to, id)) = self.order.pop_front() else {
                break;
            };
            self.known.remove(&(to, id));
            if self.order.front().is_none_or(|(next, ..)| *next != row) {
                ledger.delete(Key::Acked(row));
            }
        }
    }
}
