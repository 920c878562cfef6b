//! Making durable what was staged. FORMAT 6
//!
//! ```text
//! batch (messages, changes) -> card -> next epoch key -> aside -> base -> the key before is wiped
//! ```
//! Any prefix of this is a state that [`crate::open`] knows: what a batch says of a step that its
//! base did not follow is void.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{journal::Mark, peer::DONE, session::Position};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore,
    batch::{Batch, INLINE},
    items::{Name, Seal},
    record::Record,
    tables::{Place, Tables},
    write::conversation,
};

/// Most bytes of a change; what needs more is written as a base.
const MAX_CHANGE: usize = 64;

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Stages a record; writes the batch first where it has no room.
    pub(crate) fn stage(&mut self, record: &Record<'_>) -> Result<(), FlashError<F::Error>> {
        if self.tables.batch.stage(record) {
            return Ok(());
        }
        self.write_batch()?;
        if self.tables.batch.stage(record) {
            Ok(())
        } else {
            Err(FlashError::Size)
        }
    }

    /// Makes everything staged durable; what may wait only with the rest, or where `all` is asked.
    pub(crate) fn commit_staged(&mut self, all: bool) -> Result<(), FlashError<F::Error>> {
        self.own_aside();
        let mut bases = 0_u16;
        for at in self.tables.indices() {
            if self.tables.contact(at).is_some_and(|contact| contact.dirty)
                && self.stage_conversation(at)?
            {
                bases |= 1 << at;
            }
        }
        let batch = &self.tables.batch;
        if all || batch.urgent || batch.is_long() || bases != 0 {
            self.write_batch()?;
        }
        for at in self.tables.indices() {
            let Some(contact) = self.tables.contact_mut(at).filter(|contact| contact.dirty) else {
                continue;
            };
            contact.dirty = false;
            let is_new = contact.generation == 0;
            if is_new {
                // The card makes the contact: it comes last.
                self.write_rings(at)?;
            } else {
                self.write_card(at)?;
            }
            if bases & (1 << at) != 0 {
                self.write_base(at, Position::Reserved)?;
            }
            if is_new {
                self.write_card(at)?;
            }
        }
        self.tables.events.commit();
        self.checkpoint()
    }

    /// Stages what moved in a conversation. `true`: it needs a base.
    fn stage_conversation(&mut self, at: u8) -> Result<bool, FlashError<F::Error>> {
        let Tables {
            contacts, aside, ..
        } = &mut *self.tables;
        let Some(contact) = contacts.get_mut(usize::from(at)) else {
            return Ok(false);
        };
        let (mark, generation) = (contact.mark, contact.generation);
        let (mut done, mut change) = ([0; DONE * 8], [0; MAX_CHANGE]);
        let mut conversation = conversation(contact, aside, at);
        let done_len = conversation
            .encode_done(&mark, &mut done)
            .map_err(|_| FlashError::Size)?;
        let moved = conversation
            .encode_change(&mark, &mut change)
            .map_err(|_| FlashError::Size)?;
        let now = conversation.mark();
        let needs_base = moved.is_none() || generation == 0;
        let generation = (generation.wrapping_add(u32::from(needs_base)) & 0xff) as u8;
        if done_len > 0 {
            self.stage(&Record::Done {
                contact: at,
                generation,
                bytes: done.get(..done_len).unwrap_or_default(),
            })?;
        }
        if !needs_base && let Some(bytes) = moved.and_then(|len| change.get(..len)) {
            if !bytes.is_empty() {
                self.stage(&Record::Change {
                    contact: at,
                    generation,
                    bytes,
                })?;
            }
            self.set_mark(at, now);
        }
        Ok(needs_base)
    }

    fn set_mark(&mut self, at: u8, mark: Mark) {
        if let Some(contact) = self.tables.contact_mut(at) {
            contact.mark = mark;
        }
    }

    /// Writes what is staged as one batch.
    pub(crate) fn write_batch(&mut self) -> Result<(), FlashError<F::Error>> {
        if self.tables.batch.is_empty() {
            return Ok(());
        }
        let number = self.numbers.batch;
        // What the batch says that is written over: all of it was written elsewhere.
        let over = number.checked_sub(self.shares.window);
        if self
            .oldest_needed()
            .is_some_and(|needed| Some(needed) <= over)
        {
            return Err(FlashError::Full);
        }
        let clear = batch_clear(number);
        let seal = Seal {
            name: self.batch_name(number),
            clear: &clear,
            epoch: None,
        };
        let Tables { batch, scratch, .. } = &mut *self.tables;
        let clock = self.numbers.clock;
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                batch.emit(clock, room)
            })?;
        self.numbers.batch = number.wrapping_add(1);
        self.note_batch(number);
        Ok(())
    }

    /// What was staged stands in the batch of this number now.
    fn note_batch(&mut self, number: u32) {
        let Batch {
            bases,
            rings,
            table,
            ..
        } = self.tables.batch;
        self.tables.batch.clear();
        let staged = |place: &mut Place| {
            if *place == Place::Staged {
                *place = Place::Batch(number);
            }
        };
        self.tables
            .outbox
            .iter_mut()
            .for_each(|entry| staged(&mut entry.place));
        for letter in &mut self.tables.inbox {
            staged(&mut letter.place);
            letter.committed = true;
        }
        if table {
            self.table_since.get_or_insert(number);
        }
        for at in self.tables.indices() {
            let Some(contact) = self.tables.contact_mut(at) else {
                continue;
            };
            if bases & (1 << at) != 0 {
                contact.base_since.get_or_insert(number);
            }
            if rings & (1 << at) != 0 {
                contact.rings_since.get_or_insert(number);
            }
        }
    }

    /// The oldest batch that says something which no record says.
    fn oldest_needed(&self) -> Option<u32> {
        let Tables {
            contacts,
            outbox,
            inbox,
            ..
        } = &*self.tables;
        let of_contacts = contacts.iter().filter(|contact| contact.used);
        let sinces = of_contacts.flat_map(|contact| [contact.base_since, contact.rings_since]);
        let places = outbox.iter().map(|entry| entry.place);
        let places = places.chain(inbox.iter().map(|letter| letter.place));
        let batches = places.filter_map(|place| match place {
            Place::Batch(number) => Some(number),
            _ => None,
        });
        sinces
            .flatten()
            .chain(self.table_since)
            .chain(batches)
            .min()
    }

    /// Whether a batch's name is used again soon.
    const fn is_old(&self, batch: Option<u32>) -> bool {
        let soon = self.numbers.batch.saturating_add(self.shares.slack());
        match batch {
            Some(number) => number.saturating_add(self.shares.window) <= soon,
            None => false,
        }
    }

    /// The name under which a batch stands.
    pub(crate) const fn batch_name(&self, number: u32) -> Name {
        Name::journal((number % self.shares.window) as u8)
    }

    /// Writes into records of their own what old batches say. Only after a commit: what stands in
    /// RAM is then what was committed.
    pub(crate) fn checkpoint(&mut self) -> Result<(), FlashError<F::Error>> {
        if !self.is_old(self.oldest_needed()) {
            return Ok(());
        }
        let carried = self.carry_bodies()?;
        if carried || self.is_old(self.table_since) {
            self.write_table()?;
        }
        for at in self.tables.indices() {
            let Some(contact) = self.tables.contact(at) else {
                continue;
            };
            let (rings, base) = (contact.rings_since, contact.base_since);
            if self.is_old(rings) {
                self.write_rings(at)?;
            }
            if self.is_old(base) {
                self.write_base(at, Position::Reserved)?;
            }
        }
        Ok(())
    }

    /// Moves bodies out of old batches. Returns whether there were any.
    fn carry_bodies(&mut self) -> Result<bool, FlashError<F::Error>> {
        let mut carried = false;
        let mut body = [0; INLINE];
        for index in 0..self.tables.outbox.len() {
            let Some(entry) = self.tables.outbox.get(index).copied() else {
                break;
            };
            let Place::Batch(number) = entry.place else {
                continue;
            };
            if !self.is_old(Some(number)) {
                continue;
            }
            let Some(found) = self.fetch_message(entry.place, false, entry.order, &mut body)?
            else {
                continue;
            };
            let slot = self.free_outgoing();
            let bytes = body.get(..usize::from(found.len)).unwrap_or_default();
            self.write_message(
                Name::outgoing(slot),
                entry.contact,
                entry.order,
                &found.body(bytes),
            )?;
            if let Some(entry) = self.tables.outbox.get_mut(index) {
                entry.place = Place::Item(slot);
            }
            carried = true;
        }
        for index in 0..self.tables.inbox.len() {
            let Some(letter) = self.tables.inbox.get(index).copied() else {
                break;
            };
            let Place::Batch(number) = letter.place else {
                continue;
            };
            if !self.is_old(Some(number)) {
                continue;
            }
            let Some(found) = self.fetch_message(letter.place, true, letter.order, &mut body)?
            else {
                continue;
            };
            let slot = self.free_letter();
            let bytes = body.get(..usize::from(found.len)).unwrap_or_default();
            self.write_message(
                Name::letter(slot),
                letter.contact,
                letter.order,
                &found.body(bytes),
            )?;
            if let Some(letter) = self.tables.inbox.get_mut(index) {
                letter.place = Place::Item(slot);
            }
            carried = true;
        }
        Ok(carried)
    }
}

/// What a batch says of itself in the clear.
pub(crate) const fn batch_clear(number: u32) -> [u8; 2] {
    (number as u16).to_be_bytes()
}
