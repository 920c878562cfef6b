//! Messages with their bodies: the inbox that the application reads, and the outbox's own.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{session::Kind, storage::Incoming, wire::MessageId};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore,
    batch::{Batch, INLINE},
    commit::batch_clear,
    items::{Found, Name, Seal},
    record::{Body, Content, Record, Records},
    records::parse_message,
    tables::{INBOX, Letter, Place},
};

/// A message that was found where its body stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub(crate) contact: u8,
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) extra: u8,
    pub(crate) stored_at: u64,
    pub(crate) len: u16,
}

impl Loaded {
    pub(crate) fn of(contact: u8, body: &Body<'_>) -> Self {
        Self {
            contact,
            id: body.id,
            kind: body.kind,
            extra: body.extra,
            stored_at: body.stored_at,
            len: body.content.len(),
        }
    }

    pub(crate) const fn body<'a>(&self, bytes: &'a [u8]) -> Body<'a> {
        Body {
            id: self.id,
            kind: self.kind,
            extra: self.extra,
            stored_at: self.stored_at,
            content: Content::Here(bytes),
        }
    }
}

/// Finds a letter or a message of the outbox by its order.
fn find<'a>(mut records: Records<'a>, is_letter: bool, wanted: u32) -> Option<(u8, Body<'a>)> {
    records.find_map(|record| match record {
        Record::Letter {
            contact,
            order,
            letter,
            ..
        } if is_letter && order == wanted => Some((contact, letter)),
        Record::Push {
            contact,
            order,
            letter,
        } if !is_letter && order == wanted => Some((contact, letter)),
        _ => None,
    })
}

/// Copies a body out, as far as the caller wants it.
fn copy(found: Option<(u8, Body<'_>)>, buffer: Option<&mut [u8]>) -> Result<Option<Loaded>, ()> {
    let Some((contact, body)) = found else {
        return Ok(None);
    };
    if let (Some(buffer), Content::Here(bytes)) = (buffer, body.content) {
        buffer
            .get_mut(..bytes.len())
            .ok_or(())?
            .copy_from_slice(bytes);
    }
    Ok(Some(Loaded::of(contact, &body)))
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Reads a message and its body. `None`: it does not stand there.
    pub(crate) fn fetch_message(
        &mut self,
        place: Place,
        is_letter: bool,
        order: u32,
        buffer: &mut [u8],
    ) -> Result<Option<Loaded>, FlashError<F::Error>> {
        self.look(place, is_letter, order, Some(buffer))
    }

    /// The same, without the body where there is no buffer.
    pub(crate) fn look(
        &mut self,
        place: Place,
        is_letter: bool,
        order: u32,
        buffer: Option<&mut [u8]>,
    ) -> Result<Option<Loaded>, FlashError<F::Error>> {
        let batch_name = match place {
            Place::Batch(number) => self.batch_name(number),
            _ => Name::HEADER,
        };
        let scratch = &mut self.tables.scratch;
        let copied = match place {
            Place::Nowhere => return Ok(None),
            Place::Staged => copy(find(self.tables.batch.records(), is_letter, order), buffer),
            Place::Batch(number) => {
                let clear = batch_clear(number);
                let seal = Seal {
                    name: batch_name,
                    clear: &clear,
                    epoch: None,
                };
                match self.items.read(&self.key, &seal, scratch)? {
                    Found::Open(contents) => {
                        let records = Batch::parse(contents).map(|(_, records)| records);
                        copy(records.and_then(|all| find(all, is_letter, order)), buffer)
                    }
                    _ => return Ok(None),
                }
            }
            Place::Item(slot) => {
                let name = if is_letter {
                    Name::letter(slot)
                } else {
                    Name::outgoing(slot)
                };
                match self.items.read(&self.key, &Seal::plain(name), scratch)? {
                    Found::Open(contents) => {
                        let found = parse_message(contents).filter(|(_, at, _)| *at == order);
                        copy(found.map(|(contact, _, body)| (contact, body)), buffer)
                    }
                    _ => return Ok(None),
                }
            }
        };
        copied.map_err(|()| FlashError::Size)
    }

    /// Records a message that came.
    pub(crate) fn take_in(&mut self, message: &Incoming<'_>) -> Result<(), FlashError<F::Error>> {
        let Some(at) = self.tables.find(&message.from) else {
            return Ok(());
        };
        if self.tables.inbox.is_full() || self.inbox_bytes() >= self.shares.inbox {
            return Err(FlashError::InboxFull);
        }
        let order = self.numbers.letter;
        self.numbers.letter = (order + 1) & 0xffff;
        let len = u16::try_from(message.body.len()).map_err(|_| FlashError::Size)?;
        let (content, place) = if message.body.len() <= INLINE {
            (Content::Here(message.body), Place::Staged)
        } else {
            let slot = self.free_letter();
            let body = Body::of(message, Content::Here(message.body));
            self.write_message(Name::letter(slot), at, order, &body)?;
            (Content::Item { slot, len }, Place::Item(slot))
        };
        let letter = Letter {
            order,
            stored_at: message.stored_at,
            id: message.id,
            len,
            contact: at,
            kind: message.kind,
            replayable: message.replayable,
            committed: false,
            place,
        };
        self.stage(&Record::Letter {
            contact: at,
            order,
            owed: false,
            letter: Body::of(message, content),
        })?;
        if let Some(contact) = self.tables.contact_mut(at) {
            contact.saw(&message.id);
        }
        self.tables
            .inbox
            .push(letter)
            .map_err(|_| FlashError::InboxFull)
    }

    pub(crate) fn first_letter<'b>(
        &mut self,
        buffer: &'b mut [u8],
    ) -> Result<Option<Incoming<'b>>, FlashError<F::Error>> {
        for _ in 0..INBOX {
            let Some(letter) = self.tables.inbox.first().copied() else {
                return Ok(None);
            };
            if !letter.committed {
                return Ok(None);
            }
            let from = self
                .tables
                .contact(letter.contact)
                .map(|contact| contact.peer.address);
            let loaded = self.fetch_message(letter.place, true, letter.order, &mut *buffer)?;
            if let (Some(from), Some(_)) = (from, loaded) {
                return Ok(Some(Incoming {
                    from,
                    id: letter.id,
                    kind: letter.kind,
                    body: buffer
                        .get(..usize::from(letter.len))
                        .ok_or(FlashError::Size)?,
                    replayable: letter.replayable,
                    stored_at: letter.stored_at,
                }));
            }
            // Its body is damaged: nothing can be shown.
            self.tables.inbox.remove(0);
        }
        Ok(None)
    }

    pub(crate) fn read_letter(&mut self, id: &MessageId) -> Result<(), FlashError<F::Error>> {
        let at = self.tables.inbox.iter().position(|letter| letter.id == *id);
        let Some(at) = at else { return Ok(()) };
        let letter = self.tables.inbox.remove(at);
        self.stage(&Record::Read {
            order: letter.order,
        })
    }

    /// Bytes of the inbox that stand in items of their own.
    pub(crate) fn inbox_bytes(&self) -> usize {
        let letters = self.tables.inbox.iter();
        let items = letters.filter(|letter| matches!(letter.place, Place::Item(_)));
        items.map(|letter| usize::from(letter.len)).sum()
    }

    /// Bytes of the outbox that stand in items of their own.
    pub(crate) fn outbox_bytes(&self) -> usize {
        let entries = self.tables.outbox.iter();
        let items = entries.filter(|entry| matches!(entry.place, Place::Item(_)));
        items.map(|entry| usize::from(entry.len)).sum()
    }

    /// A letter's item that holds no letter.
    pub(crate) fn free_letter(&self) -> u8 {
        let taken = |slot: u8| {
            let mut letters = self.tables.inbox.iter();
            letters.any(|letter| letter.place == Place::Item(slot))
        };
        (0..INBOX as u8).find(|slot| !taken(*slot)).unwrap_or(0)
    }

    /// An item of the outbox that holds no message.
    pub(crate) fn free_outgoing(&self) -> u8 {
        let taken = |slot: u8| {
            let mut entries = self.tables.outbox.iter();
            entries.any(|entry| entry.place == Place::Item(slot))
        };
        (0..OUTBOX as u8).find(|slot| !taken(*slot)).unwrap_or(0)
    }
}
