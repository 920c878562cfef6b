//! One record of a batch, applied to what the records before it made.

use heapless::Vec;
use hushwire_core::{
    peer::Conversation,
    session::Kind,
    storage::{OutboxState, RelayMark},
};

use crate::{
    load::From,
    messages::Loaded,
    record::{Body, Content, OwnState, Record},
    records::Listed,
    settle::{blank_entry, blank_letter, put_own},
    tables::{Aside, Contact, Entry, INBOX, Letter, OWED, Owed, Place},
};

/// The queues that the table gathers.
pub(crate) struct Queues<'q, const OUTBOX: usize> {
    pub(crate) outbox: &'q mut Vec<Entry, OUTBOX>,
    pub(crate) inbox: &'q mut Vec<Letter, INBOX>,
    pub(crate) owed: &'q mut Vec<Owed, OWED>,
    pub(crate) marks: &'q mut [Option<RelayMark>],
}

/// A batch that is being applied.
pub(crate) struct Applied<'f> {
    pub(crate) number: u32,
    pub(crate) from: &'f mut From,
    pub(crate) order: u32,
    pub(crate) letter: u32,
    /// It said something that the table does not hold.
    pub(crate) table: bool,
}

impl Applied<'_> {
    pub(crate) fn record<const SKIP: usize, const OUTBOX: usize>(
        &mut self,
        record: &Record<'_>,
        contacts: &mut [Contact<SKIP>],
        aside: &mut Aside<SKIP>,
        queues: &mut Queues<'_, OUTBOX>,
    ) {
        match *record {
            Record::Change {
                contact,
                generation,
                bytes,
            } => {
                if let Some(found) = used(contacts, contact) {
                    self.change(contact, generation, bytes, found, aside);
                }
            }
            Record::Done {
                contact,
                generation,
                bytes,
            } => {
                if let Some(found) = used(contacts, contact) {
                    self.done(contact, generation, bytes, found);
                }
            }
            Record::Letter {
                contact,
                order,
                owed,
                letter,
            } => {
                if let Some(found) = used(contacts, contact)
                    && self.number >= self.from.rings(contact)
                {
                    found.saw(&letter.id);
                    found.rings_since.get_or_insert(self.number);
                }
                if self.number >= self.from.table {
                    self.table = true;
                    self.letter = (order + 1) & 0xffff;
                    match used(contacts, contact) {
                        Some(_) => self.take_in(contact, order, owed, &letter, queues),
                        None => self.from.orphans = true,
                    }
                }
            }
            _ if self.number < self.from.table => {}
            _ => {
                self.table = true;
                self.queue(record, contacts, queues);
            }
        }
    }

    fn change<const SKIP: usize>(
        &mut self,
        at: u8,
        generation: u8,
        bytes: &[u8],
        contact: &mut Contact<SKIP>,
        aside: &mut Aside<SKIP>,
    ) {
        let broken = self.from.broken & (1 << at) != 0;
        if broken || self.number < self.from.base(at) || contact.generation as u8 != generation {
            return;
        }
        let mut conversation = Conversation {
            peer: &mut contact.peer,
            tentative: (aside.owner == Some(at)).then_some(&mut aside.session),
        };
        if conversation.apply_change(bytes).is_err() {
            self.from.broken |= 1 << at;
        }
        contact.base_since.get_or_insert(self.number);
    }

    fn done<const SKIP: usize>(
        &mut self,
        at: u8,
        generation: u8,
        bytes: &[u8],
        contact: &mut Contact<SKIP>,
    ) {
        if self.number < self.from.rings(at) {
            return;
        }
        // It is true of a base that may not have been written: PROTOCOL 8.3.
        if ((contact.generation as u8).wrapping_sub(generation) as i8) < 0 {
            self.from.stale_rings |= 1 << at;
            return;
        }
        let mut conversation = Conversation {
            peer: &mut contact.peer,
            tentative: None,
        };
        conversation.apply_done(bytes);
        contact.rings_since.get_or_insert(self.number);
    }

    const fn place(&self, content: &Content<'_>) -> Place {
        match content {
            Content::Here(_) => Place::Batch(self.number),
            Content::Item { slot, .. } => Place::Item(*slot),
        }
    }

    fn take_in<const OUTBOX: usize>(
        &self,
        at: u8,
        order: u32,
        owed: bool,
        body: &Body<'_>,
        queues: &mut Queues<'_, OUTBOX>,
    ) {
        let letter = Letter {
            contact: at,
            id: body.id,
            ..blank_letter(&Listed {
                order,
                flag: body.extra != 0,
                place: self.place(&body.content),
            })
        };
        let _room = queues.inbox.push(letter);
        if owed {
            owe(
                queues.owed,
                Owed {
                    contact: at,
                    receipt: 0,
                    id: body.id,
                },
            );
        }
    }

    fn queue<const SKIP: usize, const OUTBOX: usize>(
        &mut self,
        record: &Record<'_>,
        contacts: &mut [Contact<SKIP>],
        queues: &mut Queues<'_, OUTBOX>,
    ) {
        match *record {
            Record::Owed { contact, id } => owe(
                queues.owed,
                Owed {
                    contact,
                    receipt: 0,
                    id,
                },
            ),
            Record::Told { contact } => queues.owed.retain(|owed| owed.contact != contact),
            Record::Push {
                contact,
                order,
                letter,
            } => {
                self.order = self.order.max(order.saturating_add(1));
                let loaded = Loaded::of(contact, &letter);
                let mut entry = blank_entry(&Listed {
                    order,
                    flag: false,
                    place: self.place(&letter.content),
                });
                (entry.id, entry.contact) = (loaded.id, contact);
                match queues.outbox.iter_mut().find(|old| old.order == order) {
                    Some(old) => *old = entry,
                    None => {
                        let _room = queues.outbox.push(entry);
                    }
                }
            }
            Record::Gone { order } => queues.outbox.retain(|entry| entry.order != order),
            Record::Accepted { order } => {
                if let Some(entry) = queues.outbox.iter_mut().find(|old| old.order == order) {
                    entry.state = OutboxState::Accepted;
                }
            }
            Record::Own {
                contact,
                kind,
                link,
                state,
            } => {
                self.own(contact, kind, link, state, contacts);
            }
            Record::Read { order } => queues.inbox.retain(|letter| letter.order != order),
            Record::Mark { link, mark } => {
                if let Some(place) = queues.marks.get_mut(usize::from(link)) {
                    *place = Some(mark);
                }
            }
            Record::Further { link, low } => {
                let place = queues.marks.get_mut(usize::from(link));
                if let Some(Some(mark)) = place {
                    let by = low.wrapping_sub(mark.next_sequence as u16);
                    mark.next_sequence = mark.next_sequence.saturating_add(u64::from(by));
                }
            }
            Record::Change { .. } | Record::Done { .. } | Record::Letter { .. } => {}
        }
    }

    fn own<const SKIP: usize>(
        &mut self,
        at: u8,
        kind: Kind,
        link: u8,
        state: OwnState,
        contacts: &mut [Contact<SKIP>],
    ) {
        match used(contacts, at) {
            Some(contact) => {
                put_own(contact, at, self.order, kind, link, state);
                self.order = self.order.saturating_add(1);
            }
            None => self.from.orphans = true,
        }
    }
}

fn owe(queue: &mut Vec<Owed, OWED>, owed: Owed) {
    if !queue.contains(&owed) {
        if queue.is_full() {
            queue.remove(0);
        }
        let _room = queue.push(owed);
    }
}

fn used<const SKIP: usize>(contacts: &mut [Contact<SKIP>], at: u8) -> Option<&mut Contact<SKIP>> {
    contacts.get_mut(usize::from(at)).filter(|found| found.used)
}
