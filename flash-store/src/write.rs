//! Writing one record: a message, the table, and the parts of a contact. FORMAT 3

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{crypto::kdf::sha256, peer::Conversation, session::Position};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore,
    bytes::Put,
    items::{Items, Name, Seal},
    keys::Owner,
    record::{Body, Content},
    records::{View, emit_message},
    tables::{Aside, Contact, Tables},
};

/// A contact's conversation, with the second place if it is the contact's.
pub(crate) fn conversation<'a, const SKIP: usize>(
    contact: &'a mut Contact<SKIP>,
    aside: &'a mut Aside<SKIP>,
    at: u8,
) -> Conversation<'a, SKIP> {
    Conversation {
        peer: &mut contact.peer,
        tentative: (aside.owner == Some(at)).then_some(&mut aside.session),
    }
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Writes a message's own item.
    pub(crate) fn write_message(
        &mut self,
        name: Name,
        contact: u8,
        order: u32,
        message: &Body<'_>,
    ) -> Result<(), FlashError<F::Error>> {
        let Content::Here(body) = message.content else {
            return Err(FlashError::Size);
        };
        let scratch = &mut self.tables.scratch;
        self.items.write(
            &self.key,
            &mut self.rng,
            &Seal::plain(name),
            scratch,
            &mut |room| emit_message(contact, order, message, body, room),
        )
    }

    pub(crate) fn write_table(&mut self) -> Result<(), FlashError<F::Error>> {
        let Tables {
            contacts,
            outbox,
            inbox,
            owed,
            marks,
            scratch,
            ..
        } = &mut *self.tables;
        let view = View {
            numbers: &self.numbers,
            marks,
            outbox,
            inbox,
            contacts,
            owed,
        };
        let seal = Seal::plain(Name::TABLE);
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                view.emit(room)
            })?;
        self.table_since = None;
        Ok(())
    }

    pub(crate) fn write_rings(&mut self, at: u8) -> Result<(), FlashError<F::Error>> {
        let Tables {
            contacts, scratch, ..
        } = &mut *self.tables;
        let Some(contact) = contacts.get_mut(usize::from(at)) else {
            return Ok(());
        };
        let batch = self.numbers.batch;
        let seal = Seal::plain(Name::rings(at));
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                contact.emit_rings(batch, room)
            })?;
        contact.rings_since = None;
        Ok(())
    }

    /// Writes the card, if it is another one than flash holds.
    pub(crate) fn write_card(&mut self, at: u8) -> Result<(), FlashError<F::Error>> {
        let Tables {
            contacts, scratch, ..
        } = &mut *self.tables;
        let Some(contact) = contacts.get_mut(usize::from(at)) else {
            return Ok(());
        };
        let len = contact
            .peer
            .encode_card(scratch)
            .map_err(|_| FlashError::Size)?;
        let card = card_digest(scratch.get(..len).unwrap_or_default());
        if card == contact.card {
            return Ok(());
        }
        let (peer, seal) = (&contact.peer, Seal::plain(Name::card(at)));
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                peer.encode_card(room).ok()
            })?;
        contact.card = card;
        Ok(())
    }

    /// Writes the base under a new epoch's key, and ends the epoch before.
    pub(crate) fn write_base(
        &mut self,
        at: u8,
        position: Position,
    ) -> Result<(), FlashError<F::Error>> {
        let owner = Owner::contact(at);
        let epoch = self.items.medium().add_key(&mut self.rng, owner)?;
        let Tables {
            contacts,
            aside,
            scratch,
            ..
        } = &mut *self.tables;
        let Some(contact) = contacts.get_mut(usize::from(at)) else {
            return Ok(());
        };
        let generation = contact.generation.wrapping_add(1).max(1);
        let beside = aside.owner == Some(at) && aside.session.is_some();
        if beside {
            aside.slot ^= 1;
        }
        let batch = self.numbers.batch;
        let flag = if beside { 2 | aside.slot } else { 0 };
        let mut write =
            |items: &mut Items<F>, name, fill: &mut dyn FnMut(&mut Put<'_>) -> Option<()>| {
                let seal = Seal {
                    name,
                    clear: &[],
                    epoch: Some(&epoch),
                };
                items.write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                    let mut w = Put::new(room);
                    fill(&mut w)?;
                    w.len()
                })
            };
        let aside_name = Name::aside(aside.slot);
        let mut conversation = conversation(contact, aside, at);
        if beside {
            write(&mut self.items, aside_name, &mut |w| {
                w.u8(at).u32(generation);
                let len = conversation.encode_aside(position, w.rest()).ok()?;
                w.skip(len);
                Some(())
            })?;
        }
        write(&mut self.items, Name::base(at), &mut |w| {
            w.u32(generation).u32(batch).u8(flag);
            let len = conversation.encode_base(position, w.rest()).ok()?;
            w.skip(len);
            Some(())
        })?;
        let mark = conversation.mark();
        contact.mark = mark;
        contact.generation = generation;
        contact.base_since = None;
        Ok(self.items.medium().retire_key(owner)?)
    }
}

pub(crate) fn card_digest(card: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[card]);
    // No card has the digest of none.
    [a, b, c, d | 1]
}
