//! The outbox: the user's messages until their receipt, and the endpoint's own.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    identity::Address,
    session::Kind,
    storage::{MAX_RECEIPTS, OutboxEntry, OutboxState, Wake},
    wire::MessageId,
};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore,
    batch::INLINE,
    items::Name,
    record::{Body, Content, OwnState, Record},
    tables::{Contact, Entry, OWN, Owed, Place, RECEIPTS, Tables, own_place},
};

/// Ids in a receipt that waits no longer: one-sided talk heals through answers, so they must come.
const ENOUGH: usize = 8;

/// Where an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Outbox(usize),
    Own(u8, usize),
}

impl<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> Tables<SKIP, CONTACTS, OUTBOX> {
    /// Every entry with its recipient.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Contact<SKIP>, &Entry)> {
        let data = self.outbox.iter();
        let data = data.filter_map(|entry| Some((self.contact(entry.contact)?, entry)));
        let used = self.contacts.iter().filter(|contact| contact.used);
        let own = used.flat_map(|contact| contact.own.iter().flatten().map(move |e| (contact, e)));
        data.chain(own)
    }

    fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let own = self.contacts.iter_mut().filter(|contact| contact.used);
        let own = own.flat_map(|contact| contact.own.iter_mut().flatten());
        self.outbox.iter_mut().chain(own)
    }

    pub(crate) fn slot(&self, to: &Address, id: MessageId) -> Option<Slot> {
        let at = self.find(to)?;
        let own = &self.contact(at)?.own;
        let here = |entry: &Entry| entry.contact == at && entry.id == id;
        let own = own
            .iter()
            .position(|place| place.as_ref().is_some_and(here));
        let own = own.map(|place| Slot::Own(at, place));
        own.or_else(|| self.outbox.iter().position(here).map(Slot::Outbox))
    }

    pub(crate) fn entry_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        match slot {
            Slot::Outbox(at) => self.outbox.get_mut(at),
            Slot::Own(contact, place) => self.contact_mut(contact)?.own.get_mut(place)?.as_mut(),
        }
    }

    /// The next in order among those due.
    pub(crate) fn first_due(&self, now: u64, links: u32) -> Option<OutboxEntry> {
        let due = self
            .entries()
            .filter(|(_, entry)| entry.due <= now && over(entry, links));
        let (contact, entry) = due.min_by_key(|(_, entry)| entry.order)?;
        Some(entry.outward(contact.peer.address))
    }

    pub(crate) fn earliest(&self, links: u32) -> Option<u64> {
        let entries = self.entries().filter(|(_, entry)| over(entry, links));
        entries.map(|(_, entry)| entry.due).min()
    }

    pub(crate) fn wake_up(&mut self, which: Wake<'_>, due: u64) {
        let (to, before) = match which {
            Wake::Link(_) | Wake::Custody(_) => (None, None),
            Wake::Peer(to) => (self.find(to), None),
            Wake::Before(to, id) => {
                let slot = self.slot(to, id);
                let order = slot
                    .and_then(|slot| self.entry_mut(slot))
                    .map(|entry| entry.order);
                (self.find(to), order)
            }
        };
        for entry in self.entries_mut() {
            let is_accepted = entry.state == OutboxState::Accepted;
            let hit = match which {
                Wake::Link(link) => entry.link == link && entry.state == OutboxState::Queued,
                Wake::Custody(link) => entry.link == link && is_accepted,
                Wake::Peer(_) => Some(entry.contact) == to,
                Wake::Before(..) => {
                    Some(entry.contact) == to && entry.order < before.unwrap_or(0) && is_accepted
                }
            };
            if hit {
                entry.due = entry.due.min(due);
            }
        }
    }

    /// The ids that a receipt carries; returns their length in bytes.
    fn receipt_body(&self, contact: u8, receipt: u8, buffer: &mut [u8]) -> Option<usize> {
        let mine = self.owed.iter();
        let mine = mine.filter(|owed| (owed.contact, owed.receipt) == (contact, receipt));
        let mut len = 0;
        for owed in mine.take(MAX_RECEIPTS) {
            let end = len + MessageId::LEN;
            buffer.get_mut(len..end)?.copy_from_slice(&owed.id.0);
            len = end;
        }
        Some(len)
    }

    fn owed_in(&self, contact: u8, receipt: u8) -> usize {
        let owed = self.owed.iter();
        owed.filter(|owed| (owed.contact, owed.receipt) == (contact, receipt))
            .count()
    }
}

const fn over(entry: &Entry, links: u32) -> bool {
    links & (1 << entry.link) != 0
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    pub(crate) const fn next_order(&mut self) -> u32 {
        let order = self.numbers.order;
        self.numbers.order = order.saturating_add(1);
        order
    }

    pub(crate) fn enqueue(
        &mut self,
        entry: &OutboxEntry,
        body: &[u8],
    ) -> Result<bool, FlashError<F::Error>> {
        let Some(at) = self.tables.find(&entry.to) else {
            return Ok(false);
        };
        let standing = self.tables.slot(&entry.to, entry.id);
        if let Some(place) = own_place(entry.kind) {
            let order = match standing.and_then(|slot| self.tables.entry_mut(slot)) {
                Some(old) => old.order,
                None => self.next_order(),
            };
            let fresh = inward(at, order, entry, 0, Place::Nowhere);
            if let Some(place) = self
                .tables
                .contact_mut(at)
                .and_then(|c| c.own.get_mut(place))
            {
                *place = Some(fresh);
            }
            self.stage(&Record::Own {
                contact: at,
                kind: entry.kind,
                link: entry.link,
                state: entry.state.into(),
            })?;
            return Ok(true);
        }
        let (order, place) = match standing {
            Some(Slot::Outbox(place)) => {
                let old = self.tables.outbox.get(place).map_or(0, |old| old.order);
                (old, Some(place))
            }
            _ if !self.outbox_takes(body.len()) => return Ok(false),
            _ => (self.next_order(), None),
        };
        let len = u16::try_from(body.len()).map_err(|_| FlashError::Size)?;
        let mut fresh = inward(at, order, entry, len, Place::Staged);
        let content = if body.len() <= INLINE {
            Content::Here(body)
        } else {
            let slot = self.free_outgoing();
            let message = Body::out(&fresh, Content::Here(body));
            self.write_message(Name::outgoing(slot), at, order, &message)?;
            fresh.place = Place::Item(slot);
            Content::Item { slot, len }
        };
        self.stage(&Record::Push {
            contact: at,
            order,
            letter: Body::out(&fresh, content),
        })?;
        match place.and_then(|place| self.tables.outbox.get_mut(place)) {
            Some(old) => *old = fresh,
            None => {
                let _room = self.tables.outbox.push(fresh);
            }
        }
        // What is owed to the same contact goes with it: in the same chain it costs no step.
        if let Some(contact) = self.tables.contact_mut(at) {
            for receipt in contact.own.iter_mut().skip(RECEIPTS).flatten() {
                receipt.due = receipt.due.min(entry.due);
            }
        }
        Ok(true)
    }

    /// Owes a receipt: in one that was not sealed yet, else in another, else the second once more.
    pub(crate) fn owe(
        &mut self,
        fresh: &OutboxEntry,
        id: MessageId,
    ) -> Result<(), FlashError<F::Error>> {
        let Some(at) = self.tables.find(&fresh.to) else {
            return Ok(());
        };
        if !self.tables.batch.owe(&id) {
            self.stage(&Record::Owed { contact: at, id })?;
        }
        self.owe_in_ram(at, fresh, id);
        Ok(())
    }

    pub(crate) fn owe_in_ram(&mut self, at: u8, fresh: &OutboxEntry, id: MessageId) {
        let order = self.next_order();
        let pause = self.receipt_pause;
        let Some(contact) = self.tables.contact(at) else {
            return;
        };
        let is_open = |place: usize| {
            let entry = contact.own.get(place).and_then(Option::as_ref);
            entry.map_or(Some(false), |entry| (entry.attempts == 0).then_some(true))
        };
        // Open ones first, then free places; both sealed and unanswered: the second goes once more.
        let places = RECEIPTS..OWN;
        let open = places.clone().find(|place| {
            is_open(*place) == Some(true) && self.tables.owed_in(at, *place as u8) < MAX_RECEIPTS
        });
        let free = || places.clone().find(|place| is_open(*place) == Some(false));
        let place = open.or_else(free).unwrap_or(OWN - 1);
        let receipt = place as u8;
        let owed = Owed {
            contact: at,
            receipt,
            id,
        };
        if self.tables.owed.contains(&owed) {
            return;
        }
        if self.tables.owed.is_full() {
            // Its sender seals again what is not receipted, and is answered then.
            self.tables.owed.remove(0);
        }
        let _room = self.tables.owed.push(owed);
        let many = self.tables.owed_in(at, receipt) >= ENOUGH;
        let due = fresh.due.saturating_add(if many { 0 } else { pause });
        if let Some(place) = self
            .tables
            .contact_mut(at)
            .and_then(|c| c.own.get_mut(place))
        {
            let entry = place.get_or_insert_with(|| Entry {
                due,
                ..inward(at, order, fresh, 0, Place::Nowhere)
            });
            entry.attempts = 0;
            entry.due = entry.due.min(due);
        }
    }

    pub(crate) fn change(&mut self, entry: &OutboxEntry) -> Result<(), FlashError<F::Error>> {
        let Some(slot) = self.tables.slot(&entry.to, entry.id) else {
            return Ok(());
        };
        let Some(known) = self.tables.entry_mut(slot) else {
            return Ok(());
        };
        let changed = known.state != entry.state;
        (known.due, known.attempts) = (entry.due, entry.attempts);
        (known.state, known.link) = (entry.state, entry.link);
        let order = known.order;
        match slot {
            Slot::Outbox(_) if changed && entry.state == OutboxState::Accepted => {
                self.stage(&Record::Accepted { order })
            }
            Slot::Own(contact, place) if changed && place < RECEIPTS => self.stage(&Record::Own {
                contact,
                kind: entry.kind,
                link: entry.link,
                state: entry.state.into(),
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn drop_entry(
        &mut self,
        to: &Address,
        id: MessageId,
    ) -> Result<(), FlashError<F::Error>> {
        match self.tables.slot(to, id) {
            None => Ok(()),
            Some(Slot::Outbox(at)) => {
                let entry = self.tables.outbox.remove(at);
                self.stage(&Record::Gone { order: entry.order })
            }
            Some(Slot::Own(contact, place)) => {
                let place_mut = self.tables.contact_mut(contact);
                let gone = place_mut
                    .and_then(|c| c.own.get_mut(place))
                    .and_then(Option::take);
                let Some(gone) = gone else { return Ok(()) };
                if gone.kind != Kind::RECEIPT {
                    return self.stage(&Record::Own {
                        contact,
                        kind: gone.kind,
                        link: gone.link,
                        state: OwnState::Gone,
                    });
                }
                let told =
                    |owed: &Owed| (owed.contact, usize::from(owed.receipt)) == (contact, place);
                self.tables.owed.retain(|owed| !told(owed));
                if self.tables.owed.iter().all(|owed| owed.contact != contact) {
                    return self.stage(&Record::Told { contact });
                }
                Ok(())
            }
        }
    }

    pub(crate) fn body_of(
        &mut self,
        to: &Address,
        id: MessageId,
        buffer: &mut [u8],
    ) -> Result<usize, FlashError<F::Error>> {
        match self.tables.slot(to, id) {
            None => Ok(0),
            Some(Slot::Own(contact, place)) => {
                let len = self.tables.receipt_body(contact, place as u8, buffer);
                len.ok_or(FlashError::Size)
            }
            Some(Slot::Outbox(at)) => {
                let Some(entry) = self.tables.outbox.get(at).copied() else {
                    return Ok(0);
                };
                let loaded = self.fetch_message(entry.place, false, entry.order, buffer)?;
                loaded
                    .map(|found| usize::from(found.len))
                    .ok_or(FlashError::Damaged)
            }
        }
    }
}

/// An entry as it is kept.
pub(crate) const fn inward(
    contact: u8,
    order: u32,
    entry: &OutboxEntry,
    len: u16,
    place: Place,
) -> Entry {
    Entry {
        order,
        due: entry.due,
        id: entry.id,
        len,
        contact,
        kind: entry.kind,
        link: entry.link,
        state: entry.state,
        attempts: entry.attempts,
        place,
    }
}
