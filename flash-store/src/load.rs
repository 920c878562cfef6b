//! Reading everything back, and writing down what had to be given up. FORMAT 7

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::peer::Conversation;
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore, Lost,
    apply::{Applied, Queues},
    batch::{Batch, NAMES},
    bytes::Take,
    commit::batch_clear,
    items::{Found, Name, Seal, open},
    keys::Owner,
    record::OwnState,
    records::{Line, Numbers, parse_table},
    settle::{blank_entry, blank_letter, put_own},
    tables::{Aside, Contact, Tables},
    write::card_digest,
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
    pub(crate) gone: u16,
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
