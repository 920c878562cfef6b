//! The records that gather what batches said: the table of messages, and each contact's rings.
//! FORMAT 5

use hushwire_core::{
    peer::DONE,
    session::Kind,
    storage::{OutboxState, RelayMark},
    wire::MessageId,
};

use crate::{
    bytes::{Put, Take},
    record::Body,
    tables::{Contact, Entry, LINKS, Letter, Owed, Place, SEEN},
};

/// Numbers that go with the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The batch that follows the table.
    pub(crate) batch: u32,
    pub(crate) order: u32,
    pub(crate) letter: u32,
    /// The endpoint's clock, milliseconds.
    pub(crate) clock: u64,
}

impl Numbers {
    pub(crate) const FIRST: Self = Self {
        batch: 1,
        order: 1,
        letter: 1,
        clock: 0,
    };
}

/// A message that the table lists; the rest of it stands with its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) order: u32,
    /// Outbox: a relay has it. Inbox: it may be a replay.
    pub(crate) flag: bool,
    pub(crate) place: Place,
}

impl Listed {
    fn emit(&self, w: &mut Put<'_>) {
        w.u32(self.order).u8(u8::from(self.flag));
        match self.place {
            Place::Item(slot) => w.u8(1).u32(u32::from(slot)),
            Place::Batch(number) => w.u8(0).u32(number),
            // Neither is listed.
            Place::Nowhere | Place::Staged => w.u8(2).u32(0),
        };
    }

    fn parse(r: &mut Take<'_>) -> Option<Self> {
        let (order, flag) = (r.u32()?, r.u8()? == 1);
        let place = match (r.u8()?, r.u32()?) {
            (0, number) => Place::Batch(number),
            (1, slot) => Place::Item(u8::try_from(slot).ok()?),
            _ => return None,
        };
        Some(Self { order, flag, place })
    }
}

/// A message of the endpoint's own that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnListed {
    pub(crate) contact: u8,
    pub(crate) kind: Kind,
    pub(crate) link: u8,
    pub(crate) accepted: bool,
}

/// One line of the table.
pub(crate) enum Line {
    Mark(usize, RelayMark),
    Out(Listed),
    In(Listed),
    Own(OwnListed),
    Owed(Owed),
}

/// What a table is written from.
pub(crate) struct View<'a, const SKIP: usize> {
    pub(crate) numbers: &'a Numbers,
    pub(crate) marks: &'a [Option<RelayMark>],
    pub(crate) outbox: &'a [Entry],
    pub(crate) inbox: &'a [Letter],
    pub(crate) contacts: &'a [Contact<SKIP>],
    pub(crate) owed: &'a [Owed],
}

impl<const SKIP: usize> View<'_, SKIP> {
    /// Writes the table.
    pub(crate) fn emit(&self, room: &mut [u8]) -> Option<usize> {
        let mut w = Put::new(room);
        let Numbers {
            batch,
            order,
            letter,
            clock,
        } = self.numbers;
        w.u32(*batch).u32(*order).u32(*letter).u64(*clock);
        for (link, mark) in (0..).zip(self.marks) {
            if let Some(mark) = mark {
                w.u8(1).u8(link).u64(mark.epoch).u64(mark.next_sequence);
            }
        }
        let listed = |place: Place| matches!(place, Place::Item(_) | Place::Batch(_));
        for entry in self.outbox.iter().filter(|entry| listed(entry.place)) {
            let line = Listed {
                order: entry.order,
                flag: entry.state == OutboxState::Accepted,
                place: entry.place,
            };
            line.emit(w.u8(2));
        }
        for letter in self.inbox.iter().filter(|letter| listed(letter.place)) {
            let line = Listed {
                order: letter.order,
                flag: letter.replayable,
                place: letter.place,
            };
            line.emit(w.u8(3));
        }
        let used = self.contacts.iter().filter(|contact| contact.used);
        for entry in used.flat_map(|contact| contact.own.iter().flatten()) {
            if entry.kind != Kind::RECEIPT {
                w.u8(4).u8(entry.contact).u8(entry.kind.0).u8(entry.link);
                w.u8(u8::from(entry.state == OutboxState::Accepted));
            }
        }
        for owed in self.owed {
            w.u8(5).u8(owed.contact).put(&owed.id.0);
        }
        w.len()
    }
}

/// Reads a table: the numbers, then each line.
pub(crate) fn parse_table<'a>(
    contents: &'a [u8],
) -> Option<(Numbers, impl Iterator<Item = Line> + 'a)> {
    let mut r = Take(contents);
    let numbers = Numbers {
        batch: r.u32()?,
        order: r.u32()?,
        letter: r.u32()?,
        clock: r.u64()?,
    };
    Some((numbers, core::iter::from_fn(move || line(&mut r))))
}

fn line(r: &mut Take<'_>) -> Option<Line> {
    Some(match r.u8()? {
        1 => {
            let link = usize::from(r.u8()?);
            let mark = RelayMark {
                epoch: r.u64()?,
                next_sequence: r.u64()?,
            };
            Line::Mark(link.min(LINKS - 1), mark)
        }
        2 => Line::Out(Listed::parse(r)?),
        3 => Line::In(Listed::parse(r)?),
        4 => Line::Own(OwnListed {
            contact: r.u8()?,
            kind: Kind(r.u8()?),
            link: r.u8()?,
            accepted: r.u8()? == 1,
        }),
        5 => Line::Owed(Owed {
            contact: r.u8()?,
            receipt: 0,
            id: MessageId(r.array()?),
        }),
        _ => return None,
    })
}

impl<const SKIP: usize> Contact<SKIP> {
    /// Writes what was seen of the contact, and which of its envelopes were dealt with.
    pub(crate) fn emit_rings(&self, batch: u32, room: &mut [u8]) -> Option<usize> {
        let mut w = Put::new(room);
        w.u32(batch);
        let seen = self.seen.iter().take_while(|id| **id != [0; 6]);
        w.u8(u8::try_from(seen.clone().count()).ok()?);
        seen.for_each(|id| {
            w.put(id);
        });
        let done = self.peer.done.iter().take_while(|id| **id != 0);
        done.for_each(|id| {
            w.u64(*id);
        });
        w.len()
    }

    /// Reads them, and returns the batch that follows.
    pub(crate) fn parse_rings(&mut self, contents: &[u8]) -> Option<u32> {
        let mut r = Take(contents);
        let batch = r.u32()?;
        let count = usize::from(r.u8()?);
        if count > SEEN {
            return None;
        }
        for place in self.seen.iter_mut().take(count) {
            *place = r.array()?;
        }
        for place in self.peer.done.iter_mut().take(DONE) {
            if r.is_empty() {
                break;
            }
            *place = r.u64()?;
        }
        r.is_empty().then_some(batch)
    }
}

/// An item with one message: order u32 ‖ contact ‖ extra ‖ kind ‖ id 16 ‖ stored at 5 ‖ body.
pub(crate) fn emit_message(
    contact: u8,
    order: u32,
    message: &Body<'_>,
    body: &[u8],
    room: &mut [u8],
) -> Option<usize> {
    let mut w = Put::new(room);
    w.u32(order)
        .u8(contact)
        .u8(message.extra)
        .u8(message.kind.0);
    w.put(&message.id.0).u40(message.stored_at).put(body);
    w.len()
}

/// Reads a message's item: contact, order, message.
pub(crate) fn parse_message(contents: &[u8]) -> Option<(u8, u32, Body<'_>)> {
    let mut r = Take(contents);
    let (order, contact, extra) = (r.u32()?, r.u8()?, r.u8()?);
    let message = Body {
        extra,
        kind: Kind(r.u8()?),
        id: MessageId(r.array()?),
        stored_at: r.u40()?,
        content: crate::record::Content::Here(r.0),
    };
    Some((contact, order, message))
}
