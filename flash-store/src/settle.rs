//! After reading: what the table left to the places of the messages, and what is written down as
//! given up. FORMAT 7

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    limits::OVERTAKEN_MS,
    peer::Conversation,
    session::{Kind, Position},
    storage::{OutboxEntry, OutboxState},
    wire::MessageId,
};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore, Lost,
    items::Name,
    keys::Owner,
    load::From,
    messages::Loaded,
    record::OwnState,
    records::Listed,
    tables::{Contact, Entry, Letter, Place, RECEIPTS, Tables, end, own_place},
};

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Reads what the table's lines leave to the places where the messages stand.
    pub(crate) fn fill_in(&mut self) -> Result<(), FlashError<F::Error>> {
        let soon = self.numbers.clock.saturating_add(OVERTAKEN_MS);
        let mut index = 0;
        while let Some(entry) = self.tables.outbox.get(index).copied() {
            let found = self.look(entry.place, false, entry.order, None)?;
            let found = found.filter(|found| self.tables.contact(found.contact).is_some());
            let Some(found) = found else {
                self.tables.outbox.remove(index);
                continue;
            };
            if let Some(entry) = self.tables.outbox.get_mut(index) {
                fill_entry(entry, &found, soon);
            }
            index += 1;
        }
        let mut index = 0;
        while let Some(letter) = self.tables.inbox.get(index).copied() {
            let found = self.look(letter.place, true, letter.order, None)?;
            let found = found.filter(|found| self.tables.contact(found.contact).is_some());
            let Some(found) = found else {
                self.tables.inbox.remove(index);
                continue;
            };
            if let Some(letter) = self.tables.inbox.get_mut(index) {
                fill_letter(letter, &found);
            }
            index += 1;
        }
        let contacts = self.tables.contacts.iter_mut();
        for entry in contacts.flat_map(|contact| contact.own.iter_mut().flatten()) {
            if entry.state == OutboxState::Accepted {
                entry.due = soon;
            }
        }
        self.owe_again();
        Ok(())
    }

    /// Receipts that are owed wait again, each contact's in one.
    fn owe_again(&mut self) {
        let owed = core::mem::take(&mut self.tables.owed);
        for owed in owed {
            let Some(contact) = self.tables.contact(owed.contact) else {
                continue;
            };
            let (to, link) = (contact.peer.address, contact.peer.link);
            let mut id = MessageId([0; MessageId::LEN]);
            self.rng.fill_bytes(&mut id.0);
            let fresh = OutboxEntry {
                to,
                id,
                kind: Kind::RECEIPT,
                link,
                state: OutboxState::Queued,
                due: 0,
                attempts: 0,
            };
            self.owe_in_ram(owed.contact, &fresh, owed.id);
        }
    }

    /// Writes down what was given up, so that the next start finds it so.
    pub(crate) fn settle(
        &mut self,
        from: &mut From,
        lost: &mut Lost,
        older: bool,
    ) -> Result<(), FlashError<F::Error>> {
        if older {
            for letter in &mut self.tables.inbox {
                letter.replayable = true;
            }
            from.orphans = true;
            self.items.medium().drop_key(Owner::OWN)?;
        }
        let mut rewrite = 0_u16;
        for at in self.tables.indices() {
            let Tables {
                contacts, aside, ..
            } = &mut *self.tables;
            let Some(contact) = contacts.get_mut(usize::from(at)).filter(|found| found.used) else {
                continue;
            };
            let broken = from.broken & (1 << at) != 0;
            if broken {
                lost.sessions = lost.sessions.saturating_add(1);
            }
            if broken || older {
                end(&mut contact.peer.session);
                if aside.owner == Some(at) {
                    end(&mut aside.session);
                    aside.owner = None;
                }
                rewrite |= 1 << at;
            }
            let heard = contact.peer.heard_at.max(contact.peer.started_at);
            self.numbers.clock = self.numbers.clock.max(heard);
            let conversation = Conversation {
                peer: &mut contact.peer,
                tentative: (aside.owner == Some(at)).then_some(&mut aside.session),
            };
            contact.mark = conversation.mark();
            if core::mem::take(&mut contact.dirty) {
                rewrite |= 1 << at;
            }
            if from.rings(at) == 0 {
                from.stale_rings |= 1 << at;
            }
        }
        self.tables.aside.since = self.numbers.clock;
        for at in self.tables.indices() {
            if self.tables.contact(at).is_none() {
                if from.gone & (1 << at) != 0 {
                    self.write_plain(Name::card(at), &[])?;
                }
                continue;
            }
            if rewrite & (1 << at) != 0 {
                self.write_base(at, Position::Reserved)?;
            }
            if (rewrite | from.stale_rings) & (1 << at) != 0 {
                self.write_rings(at)?;
            }
        }
        if from.orphans {
            self.write_table()?;
        }
        // Older copies of records may stand on batches whose names are used again soon.
        self.checkpoint()
    }
}

pub(crate) const fn blank_entry(listed: &Listed) -> Entry {
    Entry {
        order: listed.order,
        due: 0,
        id: MessageId([0; MessageId::LEN]),
        len: 0,
        contact: 0,
        kind: Kind::DATA,
        link: 0,
        state: if listed.flag {
            OutboxState::Accepted
        } else {
            OutboxState::Queued
        },
        attempts: 0,
        place: listed.place,
    }
}

fn fill_entry(entry: &mut Entry, found: &Loaded, soon: u64) {
    (entry.id, entry.kind, entry.link) = (found.id, found.kind, found.extra);
    (entry.len, entry.contact) = (found.len, found.contact);
    if entry.state == OutboxState::Accepted {
        // When it was due is not stored: a minute from now.
        (entry.due, entry.attempts) = (soon, 1);
    }
}

pub(crate) const fn blank_letter(listed: &Listed) -> Letter {
    Letter {
        order: listed.order,
        stored_at: 0,
        id: MessageId([0; MessageId::LEN]),
        len: 0,
        contact: 0,
        kind: Kind::DATA,
        replayable: listed.flag,
        committed: true,
        place: listed.place,
    }
}

fn fill_letter(letter: &mut Letter, found: &Loaded) {
    (letter.id, letter.kind, letter.stored_at) = (found.id, found.kind, found.stored_at);
    (letter.len, letter.contact) = (found.len, found.contact);
    letter.replayable |= found.extra != 0;
}

pub(crate) fn put_own<const SKIP: usize>(
    contact: &mut Contact<SKIP>,
    at: u8,
    order: u32,
    kind: Kind,
    link: u8,
    state: OwnState,
) {
    let Some(place) = own_place(kind).filter(|place| *place < RECEIPTS) else {
        return;
    };
    let Some(place) = contact.own.get_mut(place) else {
        return;
    };
    let mut id = [0; MessageId::LEN];
    let [.., last] = &mut id;
    *last = kind.0;
    *place = (state != OwnState::Gone).then_some(Entry {
        order,
        due: 0,
        id: MessageId(id),
        len: 0,
        contact: at,
        kind,
        link,
        state: if state == OwnState::Accepted {
            OutboxState::Accepted
        } else {
            OutboxState::Queued
        },
        attempts: u8::from(state == OwnState::Accepted),
        place: Place::Nowhere,
    });
}
