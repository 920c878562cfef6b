//! The outbox: its index in memory, its records on disk.
//!
//! Data bodies stand in the history once; the outbox's record of such a message names its number
//! there. Receipts and other bodies stand in the outbox's own record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hushwire_core::{
    identity::Address,
    session::Kind,
    storage::{OutboxEntry, OutboxState, Wake},
    wire::MessageId,
};
use serde::{Deserialize, Serialize};

/// Most messages of the user's that wait for receipts.
pub(super) const MAX_WAITING: usize = 10_000;

/// One record on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    to: [u8; 20],
    id: [u8; 16],
    kind: u8,
    link: u8,
    accepted: bool,
    due: u64,
    attempts: u8,
    pub(super) body: Body,
}

/// Where a body is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Body {
    /// In the history, under this number.
    Message(u64),
    /// Here.
    Inline(Vec<u8>),
}

impl Stored {
    pub(super) fn new(entry: &OutboxEntry, body: Body) -> Self {
        Self {
            to: entry.to.0,
            id: entry.id.0,
            kind: entry.kind.0,
            link: entry.link,
            accepted: entry.state == OutboxState::Accepted,
            due: entry.due,
            attempts: entry.attempts,
            body,
        }
    }

    /// After a restart everything queued is due.
    pub(super) fn entry(&self) -> OutboxEntry {
        let (state, due) = match self.accepted {
            true => (OutboxState::Accepted, self.due),
            false => (OutboxState::Queued, 0),
        };
        OutboxEntry {
            to: Address(self.to),
            id: MessageId(self.id),
            kind: Kind(self.kind),
            link: self.link,
            state,
            due,
            attempts: self.attempts,
        }
    }
}

/// What is known in memory of one entry.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) entry: OutboxEntry,
    pub(super) body: Body,
}

/// The index. An entry's *order* is the place in which it was pushed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    slots: BTreeMap<u64, Slot>,
    by_name: HashMap<(Address, MessageId), u64>,
    by_peer: BTreeSet<(Address, u64)>,
    /// By link: those whose time has come, and the others by their time.
    ready: BTreeMap<u8, BTreeSet<u64>>,
    later: BTreeMap<u8, BTreeSet<(u64, u64)>>,
    /// The last one that left: a receipt wakes those before it.
    last_removed: Option<(Address, MessageId, u64)>,
    data: usize,
    next: u64,
}

impl Outbox {
    pub(super) fn load(&mut self, order: u64, stored: Stored) {
        let entry = stored.entry();
        self.insert(
            order,
            Slot {
                entry,
                body: stored.body,
            },
        );
    }

    pub(super) fn has_room(&self, kind: Kind) -> bool {
        kind != Kind::DATA || self.data < MAX_WAITING
    }

    pub(super) const fn waiting(&self) -> usize {
        self.data
    }

    /// The entries of a link, with their orders.
    pub(super) fn on_link(&self, link: u8) -> Vec<(u64, OutboxEntry)> {
        let slots = self.slots.iter();
        let on_link = slots.filter(|(_, slot)| slot.entry.link == link);
        on_link.map(|(order, slot)| (*order, slot.entry)).collect()
    }

    /// Messages of the user's that no relay has yet.
    pub(super) fn queued(&self) -> usize {
        let entries = self.slots.values().map(|slot| &slot.entry);
        let own = entries.filter(|entry| entry.kind == Kind::DATA);
        own.filter(|entry| entry.state == OutboxState::Queued)
            .count()
    }

    /// Adds an entry at the end; returns its order.
    pub(super) fn push(&mut self, entry: OutboxEntry, body: Body) -> u64 {
        let order = self.next.max(1);
        self.insert(order, Slot { entry, body });
        order
    }

    fn insert(&mut self, order: u64, slot: Slot) {
        let entry = slot.entry;
        self.by_name.insert((entry.to, entry.id), order);
        self.by_peer.insert((entry.to, order));
        self.later
            .entry(entry.link)
            .or_default()
            .insert((entry.due, order));
        self.data += usize::from(entry.kind == Kind::DATA);
        self.next = self.next.max(order.saturating_add(1));
        self.slots.insert(order, slot);
    }

    pub(super) fn order(&self, to: &Address, id: MessageId) -> Option<u64> {
        self.by_name.get(&(*to, id)).copied()
    }

    pub(super) fn slot(&self, order: u64) -> Option<&Slot> {
        self.slots.get(&order)
    }

    pub(super) fn slot_mut(&mut self, order: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&order)
    }

    pub(super) fn update(&mut self, order: u64, entry: &OutboxEntry) {
        if let Some(slot) = self.slots.get(&order).cloned() {
            self.unlist(order, &slot.entry);
            self.insert(
                order,
                Slot {
                    entry: *entry,
                    body: slot.body,
                },
            );
        }
    }

    pub(super) fn remove(&mut self, order: u64) -> Option<Slot> {
        let slot = self.slots.remove(&order)?;
        self.unlist(order, &slot.entry);
        self.last_removed = Some((slot.entry.to, slot.entry.id, order));
        Some(slot)
    }

    fn unlist(&mut self, order: u64, entry: &OutboxEntry) {
        self.by_name.remove(&(entry.to, entry.id));
        self.by_peer.remove(&(entry.to, order));
        self.data -= usize::from(entry.kind == Kind::DATA);
        self.untime(order, entry);
    }

    fn untime(&mut self, order: u64, entry: &OutboxEntry) {
        if let Some(ready) = self.ready.get_mut(&entry.link) {
            ready.remove(&order);
        }
        if let Some(later) = self.later.get_mut(&entry.link) {
            later.remove(&(entry.due, order));
        }
    }

    /// Of those due at `now` on `links`, the one pushed first.
    pub(super) fn next_due(&mut self, now: u64, links: u32) -> Option<OutboxEntry> {
        let mut first: Option<u64> = None;
        for (link, later) in &mut self.later {
            if !has(links, *link) {
                continue;
            }
            let ready = self.ready.entry(*link).or_default();
            while let Some((due, order)) = later.first().copied().filter(|(due, _)| *due <= now) {
                later.remove(&(due, order));
                ready.insert(order);
            }
            let candidate = ready.first().copied();
            first = [first, candidate].into_iter().flatten().min();
        }
        first
            .and_then(|order| self.slots.get(&order))
            .map(|slot| slot.entry)
    }

    /// When the next one is due; of those whose time has come, any of their times.
    pub(super) fn earliest_due(&self, links: u32) -> Option<u64> {
        let ready = self.ready.iter().filter(|(link, _)| has(links, **link));
        let ready = ready.filter_map(|(_, orders)| orders.first());
        let ready = ready
            .filter_map(|order| self.slots.get(order))
            .map(|slot| slot.entry.due);
        let later = self.later.iter().filter(|(link, _)| has(links, **link));
        let later = later
            .filter_map(|(_, times)| times.first())
            .map(|(due, _)| *due);
        ready.chain(later).min()
    }

    /// Makes entries due at `due`, those that are due earlier aside.
    pub(super) fn wake(&mut self, which: Wake<'_>, due: u64) {
        let orders: Vec<u64> = match which {
            Wake::Link(link) => self.over(link, OutboxState::Queued),
            Wake::Custody(link) => self.over(link, OutboxState::Accepted),
            Wake::Peer(peer) => self.of_peer(peer, u64::MAX),
            Wake::Before(peer, id) => {
                let removed = self
                    .last_removed
                    .filter(|(to, last, _)| to == peer && *last == id);
                let order = self.order(peer, id).or(removed.map(|(_, _, order)| order));
                let before = self.of_peer(peer, order.unwrap_or(0));
                let accepted = |order: &u64| {
                    self.slots
                        .get(order)
                        .is_some_and(|s| s.entry.state == OutboxState::Accepted)
                };
                before.into_iter().filter(accepted).collect()
            }
        };
        for order in orders {
            let Some(slot) = self.slots.get(&order).cloned() else {
                continue;
            };
            if slot.entry.due > due {
                self.unlist(order, &slot.entry);
                let entry = OutboxEntry { due, ..slot.entry };
                self.insert(
                    order,
                    Slot {
                        entry,
                        body: slot.body,
                    },
                );
            }
        }
    }

    /// The orders of those in one state that go over a link.
    fn over(&self, link: u8, state: OutboxState) -> Vec<u64> {
        let slots = self.slots.iter();
        let over = slots.filter(|(_, slot)| slot.entry.link == link && slot.entry.state == state);
        over.map(|(order, _)| *order).collect()
    }

    /// The orders below `before` of one recipient.
    fn of_peer(&self, peer: &Address, before: u64) -> Vec<u64> {
        self.by_peer
            .range((*peer, 0)..(*peer, before))
            .map(|(_, order)| *order)
            .collect()
    }

    /// A receipt for `to` that was not sealed yet and has room.
    pub(super) fn open_receipt(&self, to: &Address, room: usize) -> Option<u64> {
        self.by_peer
            .range((*to, 0)..(*to, u64::MAX))
            .rev()
            .map(|(_, order)| *order)
            .find(|order| {
                self.slots.get(order).is_some_and(|slot| {
                    let ids = match &slot.body {
                        Body::Inline(ids) => ids.len() / MessageId::LEN,
                        Body::Message(_) => usize::MAX,
                    };
                    slot.entry.kind == Kind::RECEIPT && slot.entry.attempts == 0 && ids < room
                })
            })
    }
}

const fn has(links: u32, link: u8) -> bool {
    link < 32 && links & (1 << link) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: Address = Address([2; 20]);
    const CAROL: Address = Address([3; 20]);

    fn entry(to: Address, id: u8, link: u8, due: u64) -> OutboxEntry {
        OutboxEntry {
            to,
            id: MessageId([id; 16]),
            kind: Kind::DATA,
            link,
            state: OutboxState::Queued,
            due,
            attempts: 0,
        }
    }

    fn outbox(entries: &[OutboxEntry]) -> Outbox {
        let mut outbox = Outbox::default();
        for entry in entries {
            outbox.push(*entry, Body::Message(1));
        }
        outbox
    }

    fn id(entry: Option<OutboxEntry>) -> Option<u8> {
        entry.map(|entry| entry.id.0[0])
    }

    #[test]
    fn the_one_pushed_first_of_those_due_comes_first() {
        let mut outbox = outbox(&[
            entry(BOB, 1, 0, 50),
            entry(BOB, 2, 1, 10),
            entry(CAROL, 3, 0, 20),
        ]);
        assert_eq!(id(outbox.next_due(9, 0b11)), None);
        assert_eq!(id(outbox.next_due(20, 0b11)), Some(2));
        assert_eq!(id(outbox.next_due(20, 0b01)), Some(3));
        assert_eq!(id(outbox.next_due(50, 0b01)), Some(1));
        assert_eq!(id(outbox.next_due(50, 0b100)), None);
        assert!(
            outbox.earliest_due(0b01).is_some_and(|due| due <= 50),
            "it is due now"
        );
        assert_eq!(outbox.earliest_due(0b100), None);
        let later = OutboxEntry {
            due: 90,
            ..entry(BOB, 1, 0, 0)
        };
        outbox.update(1, &later);
        assert_eq!(id(outbox.next_due(60, 0b01)), Some(3));
    }

    #[test]
    fn waking_never_makes_an_entry_later() {
        let mut outbox = outbox(&[entry(BOB, 1, 0, 50), entry(BOB, 2, 0, 5)]);
        outbox.wake(Wake::Peer(&BOB), 20);
        assert_eq!(outbox.slot(1).unwrap().entry.due, 20);
        assert_eq!(outbox.slot(2).unwrap().entry.due, 5);
        outbox.wake(Wake::Link(0), 0);
        assert_eq!(id(outbox.next_due(0, 1)), Some(1));
    }

    #[test]
    fn a_link_wakes_what_is_queued_and_its_relays_memory_what_it_accepted() {
        let accepted = |id, link| OutboxEntry {
            state: OutboxState::Accepted,
            ..entry(BOB, id, link, 100)
        };
        for (which, expected) in [
            (Wake::Link(0), [7, 100, 100]),
            (Wake::Custody(0), [100, 7, 100]),
        ] {
            let mut outbox = outbox(&[entry(BOB, 1, 0, 100), accepted(2, 0), accepted(3, 1)]);
            outbox.wake(which, 7);
            let due = [1, 2, 3].map(|order| outbox.slot(order).unwrap().entry.due);
            assert_eq!(due, expected, "{which:?}");
        }
    }

    #[test]
    fn a_receipt_wakes_the_accepted_ones_before_it() {
        let accepted = |id| OutboxEntry {
            state: OutboxState::Accepted,
            ..entry(BOB, id, 0, 100)
        };
        for removed_first in [false, true] {
            let mut outbox =
                outbox(&[accepted(1), entry(BOB, 2, 0, 100), accepted(3), accepted(4)]);
            if removed_first {
                outbox.remove(3).unwrap();
            }
            outbox.wake(Wake::Before(&BOB, MessageId([3; 16])), 7);
            let due = |order| outbox.slot(order).map(|slot| slot.entry.due);
            assert_eq!((due(1), due(2), due(4)), (Some(7), Some(100), Some(100)));
        }
    }

    #[test]
    fn a_receipt_takes_ids_until_it_is_sealed_or_full() {
        let mut outbox = outbox(&[entry(BOB, 1, 0, 0)]);
        assert_eq!(outbox.open_receipt(&BOB, 32), None);
        let receipt = OutboxEntry {
            kind: Kind::RECEIPT,
            ..entry(BOB, 9, 0, 0)
        };
        let order = outbox.push(receipt, Body::Inline(vec![0; 16]));
        assert_eq!(outbox.open_receipt(&BOB, 32), Some(order));
        assert_eq!(outbox.open_receipt(&BOB, 1), None);
        assert_eq!(outbox.open_receipt(&CAROL, 32), None);
        outbox.update(
            order,
            &OutboxEntry {
                attempts: 1,
                ..receipt
            },
        );
        assert_eq!(outbox.open_receipt(&BOB, 32), None);
    }

    #[test]
    fn counts_stay_true() {
        let mut outbox = outbox(&[entry(BOB, 1, 0, 0), entry(BOB, 2, 0, 0)]);
        outbox.update(1, &entry(BOB, 1, 3, 9));
        outbox.wake(Wake::Peer(&BOB), 1);
        assert_eq!(outbox.waiting(), 2);
        outbox.remove(1).unwrap();
        outbox.remove(2).unwrap();
        assert_eq!((outbox.waiting(), outbox.earliest_due(u32::MAX)), (0, None));
        assert!(outbox.remove(2).is_none());
    }
}
