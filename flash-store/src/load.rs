//! Reading everything back, and writing down what had to be given up. FORMAT 7

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    limits::OVERTAKEN_MS,
    peer::Conversation,
    session::Kind,
    storage::{OutboxEntry, OutboxState},
    wire::MessageId,
};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore, Lost,
    apply::{Applied, Queues},
    batch::{Batch, NAMES, OwnState},
    bytes::Take,
    commit::{batch_clear, card_digest},
    items::{Found, Name, Seal, open},
    keys::Owner,
    messages::Loaded,
    records::{Line, Listed, Numbers, parse_table},
    tables::{Aside, Contact, Entry, Letter, Place, RECEIPTS, Tables, own_place},
};

/// The batches that a record does not hold yet: those from these numbers on.
pub(crate) struct From {
    bases: [u32; 16],
    rings: [u32; 16],
    pub(crate) table: u32,
    /// Some record of a batch belongs to nothing: it must never be read again.
    pub(crate) orphans: bool,
    /// Sessions that are of no use, and contacts whose rings are to be written anew, a bit each.
    pub(crate) broken: u16,
    /// Contacts whose card does not open.
    gone: u16,
    pub(crate) stale_rings: u16,
}

impl From {
    pub(crate) fn base(&self, at: u8) -> u32 {
        self.bases.get(usize::from(at)).copied().unwrap_or(u32::MAX)
    }

    pub(crate) fn rings(&self, at: u8) -> u32 {
        self.rings.get(usize::from(at)).copied().unwrap_or(u32::MAX)
    }

    fn set(list: &mut [u32; 16], at: u8, batch: u32) {
        if let Some(place) = list.get_mut(usize::from(at)) {
            *place = batch;
        }
    }
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Reads everything. What is damaged is noted in `lost`; of an `older` image sessions and
    /// prekeys are not used.
    pub(crate) fn load(
        &mut self,
        lost: &mut Lost,
        older: bool,
        first: bool,
    ) -> Result<(), FlashError<F::Error>> {
        let mut from = From {
            bases: [0; 16],
            rings: [0; 16],
            table: 0,
            orphans: false,
            broken: 0,
            gone: 0,
            stale_rings: 0,
        };
        for at in self.tables.indices() {
            self.load_contact(at, &mut from, lost)?;
        }
        if !self.load_table(&mut from)? {
            lost.messages = !first;
            from.orphans = true;
        }
        self.load_batches(&mut from, lost)?;
        self.fill_in()?;
        lost.prekeys = !self.load_own()?;
        self.settle(&mut from, lost, older)
    }

    fn load_contact(
        &mut self,
        at: u8,
        from: &mut From,
        lost: &mut Lost,
    ) -> Result<(), FlashError<F::Error>> {
        let Tables {
            contacts,
            aside,
            scratch,
            ..
        } = &mut *self.tables;
        let Some(contact) = contacts.get_mut(usize::from(at)) else {
            return Ok(());
        };
        match self
            .items
            .read(&self.key, &Seal::plain(Name::card(at)), scratch)?
        {
            Found::Nothing => return Ok(()),
            Found::Open([]) => return Ok(()),
            Found::Open(card) if contact.peer.decode_card(card).is_ok() => {
                contact.begin();
                contact.card = card_digest(card);
            }
            _ => {
                lost.contacts = lost.contacts.saturating_add(1);
                from.gone |= 1 << at;
                return Ok(());
            }
        }
        match self
            .items
            .read(&self.key, &Seal::plain(Name::rings(at)), scratch)?
        {
            Found::Open(rings) => match contact.parse_rings(rings) {
                Some(batch) => From::set(&mut from.rings, at, batch),
                None => lost.messages = true,
            },
            _ => lost.messages = true,
        }
        // The newest key under which the base opens is the one in use.
        let mut before = u16::MAX;
        let mut beside = None;
        let Some(item) = self.items.fetch(Name::base(at), scratch)? else {
            from.broken |= 1 << at;
            return Ok(());
        };
        let owner = Owner::contact(at);
        loop {
            let Some((slot, epoch)) = self.items.medium().candidate(owner, before)? else {
                from.broken |= 1 << at;
                return Ok(());
            };
            let seal = Seal {
                name: Name::base(at),
                clear: &[],
                epoch: Some(&epoch),
            };
            let Found::Open(contents) = open(&self.key, &seal, item) else {
                before = slot;
                continue;
            };
            self.items.medium().settle_key(owner, slot);
            match parse_base(contact, contents) {
                Some((batch, flag)) => {
                    From::set(&mut from.bases, at, batch);
                    beside = (flag & 2 != 0).then_some((flag & 1, epoch));
                }
                None => from.broken |= 1 << at,
            }
            break;
        }
        if let Some((slot, epoch)) = beside {
            let seal = Seal {
                name: Name::aside(slot),
                clear: &[],
                epoch: Some(&epoch),
            };
            if let Found::Open(contents) = self.items.read(&self.key, &seal, scratch)? {
                take_aside(contact, aside, (at, slot), contents);
            }
            if aside.owner != Some(at) {
                // A second session without which the first goes on.
                contact.dirty = true;
            }
        }
        Ok(())
    }

    /// `false`: there is no table.
    fn load_table(&mut self, from: &mut From) -> Result<bool, FlashError<F::Error>> {
        let Tables {
            contacts,
            outbox,
            inbox,
            owed,
            marks,
            scratch,
            ..
        } = &mut *self.tables;
        let seal = Seal::plain(Name::TABLE);
        let Found::Open(contents) = self.items.read(&self.key, &seal, scratch)? else {
            let known = from.bases.iter().chain(&from.rings).copied().max();
            self.numbers.batch = known.unwrap_or(0).max(1);
            return Ok(false);
        };
        let Some((numbers, lines)) = parse_table(contents) else {
            return Ok(false);
        };
        self.numbers = Numbers {
            clock: numbers.clock.max(self.numbers.clock),
            ..numbers
        };
        from.table = numbers.batch;
        let mut order = numbers.order;
        for line in lines {
            match line {
                Line::Mark(link, mark) => {
                    if let Some(place) = marks.get_mut(link) {
                        *place = Some(mark);
                    }
                }
                Line::Out(listed) => {
                    let _room = outbox.push(blank_entry(&listed));
                }
                Line::In(listed) => {
                    let _room = inbox.push(blank_letter(&listed));
                }
                Line::Own(own) => {
                    let contact = contacts.get_mut(usize::from(own.contact));
                    let Some(contact) = contact.filter(|contact| contact.used) else {
                        continue;
                    };
                    let state = if own.accepted {
                        OwnState::Accepted
                    } else {
                        OwnState::Queued
                    };
                    put_own(contact, own.contact, order, own.kind, own.link, state);
                    order = order.saturating_add(1);
                }
                Line::Owed(line) => {
                    let _room = owed.push(line);
                }
            }
        }
        self.numbers.order = order;
        Ok(true)
    }

    /// Applies the batches that stand, in order.
    fn load_batches(
        &mut self,
        from: &mut From,
        lost: &mut Lost,
    ) -> Result<(), FlashError<F::Error>> {
        let Some(newest) = self.newest_batch()? else {
            return Ok(());
        };
        let oldest = newest.saturating_sub(self.shares.window - 1).max(1);
        for number in oldest..=newest {
            if !self.load_batch(number, from)? {
                self.gap(number, from, lost);
            }
        }
        self.numbers.batch = self.numbers.batch.max(newest.saturating_add(1));
        Ok(())
    }

    /// The newest batch that stands, by what it says in the clear.
    fn newest_batch(&mut self) -> Result<Option<u32>, FlashError<F::Error>> {
        let hint = self.numbers.batch;
        let mut newest = None;
        for place in 0..self.shares.window.min(NAMES) {
            let name = Name::journal(place as u8);
            let scratch = &mut self.tables.scratch;
            let item = self.items.fetch(name, scratch)?;
            let Some((low, _)) = item.as_deref().and_then(<[u8]>::split_first_chunk) else {
                continue;
            };
            let ahead = u16::from_be_bytes(*low).wrapping_sub(hint as u16) as i16;
            let number = hint.saturating_add_signed(i32::from(ahead));
            let stands = number > 0 && number % self.shares.window == place;
            newest = newest.max(Some(number).filter(|_| stands));
        }
        Ok(newest)
    }

    /// A batch that should stand does not: what it may have said is not known.
    fn gap(&mut self, number: u32, from: &mut From, lost: &mut Lost) {
        for at in self.tables.indices() {
            if self.tables.contact(at).is_some() {
                if from.base(at) <= number {
                    from.broken |= 1 << at;
                }
                if from.rings(at) <= number {
                    from.stale_rings |= 1 << at;
                    lost.messages = true;
                }
            }
        }
        if from.table <= number {
            lost.messages = true;
            from.orphans = true;
        }
    }

    /// `false`: it does not stand, or does not open.
    fn load_batch(&mut self, number: u32, from: &mut From) -> Result<bool, FlashError<F::Error>> {
        let clear = batch_clear(number);
        let seal = Seal {
            name: self.batch_name(number),
            clear: &clear,
            epoch: None,
        };
        // The records lie in the scratch; everything else of the tables is changed by them.
        let mut applied = Applied {
            number,
            from,
            order: self.numbers.order,
            letter: self.numbers.letter,
            table: false,
        };
        let Tables {
            contacts,
            aside,
            outbox,
            inbox,
            owed,
            marks,
            scratch,
            ..
        } = &mut *self.tables;
        let Found::Open(contents) = self.items.read(&self.key, &seal, scratch)? else {
            return Ok(false);
        };
        let Some((clock, records)) = Batch::parse(contents) else {
            return Ok(false);
        };
        let mut queues = Queues {
            outbox,
            inbox,
            owed,
            marks,
        };
        for record in records {
            applied.record(&record, contacts, aside, &mut queues);
        }
        let Applied {
            order,
            letter,
            table,
            ..
        } = applied;
        (self.numbers.order, self.numbers.letter) = (order, letter);
        self.numbers.clock = self.numbers.clock.max(clock.saturating_add(1024));
        if table {
            self.table_since.get_or_insert(number);
        }
        Ok(true)
    }

    /// Reads what the table's lines leave to the places where the messages stand.
    fn fill_in(&mut self) -> Result<(), FlashError<F::Error>> {
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

    /// Finds the key of the own prekeys. `false`: there are some, and they do not open.
    fn load_own(&mut self) -> Result<bool, FlashError<F::Error>> {
        let scratch = &mut self.tables.scratch;
        let Some(item) = self.items.fetch(Name::OWN, scratch)? else {
            return Ok(true);
        };
        let mut before = u16::MAX;
        while let Some((slot, epoch)) = self.items.medium().candidate(Owner::OWN, before)? {
            let seal = Seal {
                name: Name::OWN,
                clear: &[],
                epoch: Some(&epoch),
            };
            if let Found::Open(_) = open(&self.key, &seal, item) {
                self.items.medium().settle_key(Owner::OWN, slot);
                return Ok(true);
            }
            before = slot;
        }
        Ok(false)
    }

    /// Writes down what was given up, so that the next start finds it so.
    fn settle(
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
                contact.peer.session = None;
                if aside.owner == Some(at) {
                    (aside.session, aside.owner) = (None, None);
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
                self.write_base(at, hushwire_core::session::Position::Reserved)?;
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

/// A base as [`FlashStore::write_base`] writes it. Returns the batch that follows, and the flag.
fn parse_base<const SKIP: usize>(
    contact: &mut Contact<SKIP>,
    contents: &[u8],
) -> Option<(u32, u8)> {
    let mut r = Take(contents);
    let (generation, batch, flag) = (r.u32()?, r.u32()?, r.u8()?);
    let mut conversation = Conversation {
        peer: &mut contact.peer,
        tentative: None,
    };
    conversation.decode_base(r.0).ok()?;
    contact.generation = generation;
    Some((batch, flag))
}

fn take_aside<const SKIP: usize>(
    contact: &mut Contact<SKIP>,
    aside: &mut Aside<SKIP>,
    place: (u8, u8),
    contents: &[u8],
) {
    let mut r = Take(contents);
    let (at, slot) = place;
    if r.u8() != Some(at) || r.u32() != Some(contact.generation) || aside.owner.is_some() {
        return;
    }
    let mut conversation = Conversation {
        peer: &mut contact.peer,
        tentative: Some(&mut aside.session),
    };
    if conversation.decode_aside(r.0).is_ok() {
        aside.owner = Some(at);
        aside.slot = slot;
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
