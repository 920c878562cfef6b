//! The journal: what one commit changed, as one sealed item. FORMAT 4
//!
//! ```text
//! clear: number u16     sealed: clock, 1024 ms, u32 ‖ records, each: tag (kind << 4 | contact) ‖ …
//! ```
//! Batches stand under a window of names in turn. Whatever a batch says must be in a record of its
//! own before its name is used again.

use hushwire_core::{
    session::Kind,
    storage::{Incoming, OutboxState, RelayMark},
    wire::MessageId,
};
use zeroize::Zeroize as _;

use crate::{
    bytes::{Put, Take},
    tables::Entry,
};

/// Names under which batches stand.
pub(crate) const NAMES: u32 = 128;
/// Bodies up to this length stand in a batch; longer ones have an item of their own.
pub(crate) const INLINE: usize = 48;
/// Bytes of a batch.
const ROOM: usize = 256;

/// How a region of some size is shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// Batches that stand: the messages of a chain that stay computable from flash at most.
    pub(crate) window: u32,
    /// Bytes of bodies in items of their own: outbox and inbox.
    pub(crate) outbox: usize,
    pub(crate) inbox: usize,
}

impl Shares {
    /// A quarter for batches, a quarter for what is to be sent, an eighth for what came; the rest is
    /// for contacts, and for the pages to turn.
    pub(crate) const fn of(bytes: u32) -> Self {
        let window = bytes / 4 / ROOM as u32;
        Self {
            window: if window > NAMES {
                NAMES
            } else if window < 16 {
                16
            } else {
                window
            },
            outbox: bytes as usize / 4,
            inbox: bytes as usize / 8,
        }
    }

    /// So many batches before its name is used again, what a batch says is written elsewhere.
    pub(crate) const fn slack(&self) -> u32 {
        self.window / 4
    }
}

/// What is staged.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: [u8; ROOM],
    len: usize,
    /// Something in it must not wait for the next commit.
    pub(crate) urgent: bool,
    /// Contacts whose base or rings it changes, a bit each; and whether it changes the table.
    pub(crate) bases: u16,
    pub(crate) rings: u16,
    pub(crate) table: bool,
    /// Where the flags of the letter staged last stand.
    letter: Option<(usize, MessageId)>,
}

/// One record of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    /// The conversation moved, over the base of this generation.
    Change {
        contact: u8,
        generation: u8,
        bytes: &'a [u8],
    },
    /// Envelopes dealt with: true once the base is of this generation.
    Done {
        contact: u8,
        generation: u8,
        bytes: &'a [u8],
    },
    /// A message came; its body is here, or in an item.
    Letter {
        contact: u8,
        order: u32,
        owed: bool,
        letter: Body<'a>,
    },
    /// A receipt is owed.
    Owed { contact: u8, id: MessageId },
    /// Every receipt that was owed to the contact is told.
    Told { contact: u8 },
    /// A message of the user's.
    Push {
        contact: u8,
        order: u32,
        letter: Body<'a>,
    },
    /// A message of the user's left the outbox.
    Gone { order: u32 },
    /// A relay has custody of it.
    Accepted { order: u32 },
    /// A message of the endpoint's own came, changed, or went.
    Own {
        contact: u8,
        kind: Kind,
        link: u8,
        state: OwnState,
    },
    /// The application has dealt with a message.
    Read { order: u32 },
    /// How far a relay was seen.
    Mark { link: u8, mark: RelayMark },
    /// The same relay, further on: the low bits of the next sequence.
    Further { link: u8, low: u16 },
}

/// What a letter or a message of the outbox is, and where its body stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    /// A letter may be a replay. Of the outbox: the link.
    pub(crate) extra: u8,
    /// When a relay stored a letter, seconds.
    pub(crate) stored_at: u64,
    pub(crate) content: Content<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Here(&'a [u8]),
    Item { slot: u8, len: u16 },
}

impl Content<'_> {
    pub(crate) fn len(&self) -> u16 {
        match self {
            Self::Here(bytes) => bytes.len() as u16,
            Self::Item { len, .. } => *len,
        }
    }
}

impl<'a> Body<'a> {
    pub(crate) const fn of(message: &Incoming<'a>, content: Content<'a>) -> Self {
        Self {
            id: message.id,
            kind: message.kind,
            extra: message.replayable as u8,
            stored_at: message.stored_at,
            content,
        }
    }

    pub(crate) const fn out(entry: &Entry, content: Content<'a>) -> Self {
        Self {
            id: entry.id,
            kind: entry.kind,
            extra: entry.link,
            stored_at: 0,
            content,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OwnState {
    Queued = 0,
    Accepted = 1,
    Gone = 2,
}

impl From<OutboxState> for OwnState {
    fn from(state: OutboxState) -> Self {
        match state {
            OutboxState::Queued => Self::Queued,
            OutboxState::Accepted => Self::Accepted,
        }
    }
}

mod tag {
    pub(super) const CHANGE: u8 = 0x10;
    pub(super) const DONE: u8 = 0x20;
    pub(super) const LETTER: u8 = 0x30;
    pub(super) const OWED: u8 = 0x40;
    pub(super) const TOLD: u8 = 0x50;
    pub(super) const PUSH: u8 = 0x60;
    pub(super) const GONE: u8 = 0x70;
    pub(super) const ACCEPTED: u8 = 0x80;
    pub(super) const OWN: u8 = 0x90;
    pub(super) const READ: u8 = 0xa0;
    pub(super) const MARK: u8 = 0xb0;
    pub(super) const FURTHER: u8 = 0xc0;
}

/// A letter's flags.
const OWED_FLAG: u8 = 0x01;
const EXTRA_FLAG: u8 = 0x02;
/// A body's length where it stands in an item.
const ELSEWHERE: u8 = 0xff;

impl Record<'_> {
    fn emit(&self, w: &mut Put<'_>) {
        match *self {
            Record::Change {
                contact,
                generation,
                bytes,
            } => {
                w.u8(tag::CHANGE | contact).u8(generation);
                w.u8(bytes.len() as u8).put(bytes);
            }
            Record::Done {
                contact,
                generation,
                bytes,
            } => {
                w.u8(tag::DONE | contact).u8(generation);
                w.u8(bytes.len() as u8).put(bytes);
            }
            Record::Letter {
                contact,
                order,
                owed,
                letter,
            } => {
                let flags = if owed { OWED_FLAG } else { 0 }
                    | if letter.extra != 0 { EXTRA_FLAG } else { 0 };
                w.u8(tag::LETTER | contact).u8(flags).u16(order as u16);
                w.u40(letter.stored_at);
                letter.emit(w);
            }
            Record::Owed { contact, id } => {
                w.u8(tag::OWED | contact).put(&id.0);
            }
            Record::Told { contact } => {
                w.u8(tag::TOLD | contact);
            }
            Record::Push {
                contact,
                order,
                letter,
            } => {
                w.u8(tag::PUSH | contact).u8(letter.extra).u32(order);
                letter.emit(w);
            }
            Record::Gone { order } => {
                w.u8(tag::GONE).u32(order);
            }
            Record::Accepted { order } => {
                w.u8(tag::ACCEPTED).u32(order);
            }
            Record::Own {
                contact,
                kind,
                link,
                state,
            } => {
                w.u8(tag::OWN | contact).u8(kind.0).u8(link).u8(state as u8);
            }
            Record::Read { order } => {
                w.u8(tag::READ).u16(order as u16);
            }
            Record::Mark { link, mark } => {
                w.u8(tag::MARK | link)
                    .u64(mark.epoch)
                    .u64(mark.next_sequence);
            }
            Record::Further { link, low } => {
                w.u8(tag::FURTHER | link).u16(low);
            }
        }
    }
}

impl<'a> Record<'a> {
    fn parse(r: &mut Take<'a>) -> Option<Self> {
        let head = r.u8()?;
        let low = head & 0x0f;
        Some(match head & 0xf0 {
            tag::CHANGE => Self::Change {
                contact: low,
                generation: r.u8()?,
                bytes: counted(r)?,
            },
            tag::DONE => Self::Done {
                contact: low,
                generation: r.u8()?,
                bytes: counted(r)?,
            },
            tag::LETTER => {
                let (flags, order, stored_at) = (r.u8()?, u32::from(r.u16()?), r.u40()?);
                let mut letter = Body::parse(r, u8::from(flags & EXTRA_FLAG != 0))?;
                letter.stored_at = stored_at;
                Self::Letter {
                    contact: low,
                    order,
                    owed: flags & OWED_FLAG != 0,
                    letter,
                }
            }
            tag::OWED => Self::Owed {
                contact: low,
                id: MessageId(r.array()?),
            },
            tag::TOLD => Self::Told { contact: low },
            tag::PUSH => {
                let (link, order) = (r.u8()?, r.u32()?);
                Self::Push {
                    contact: low,
                    order,
                    letter: Body::parse(r, link)?,
                }
            }
            tag::GONE => Self::Gone { order: r.u32()? },
            tag::ACCEPTED => Self::Accepted { order: r.u32()? },
            tag::OWN => Self::Own {
                contact: low,
                kind: Kind(r.u8()?),
                link: r.u8()?,
                state: match r.u8()? {
                    0 => OwnState::Queued,
                    1 => OwnState::Accepted,
                    2 => OwnState::Gone,
                    _ => return None,
                },
            },
            tag::READ => Self::Read {
                order: u32::from(r.u16()?),
            },
            tag::MARK => Self::Mark {
                link: low,
                mark: RelayMark {
                    epoch: r.u64()?,
                    next_sequence: r.u64()?,
                },
            },
            tag::FURTHER => Self::Further {
                link: low,
                low: r.u16()?,
            },
            _ => return None,
        })
    }
}

fn counted<'a>(r: &mut Take<'a>) -> Option<&'a [u8]> {
    let len = usize::from(r.u8()?);
    r.slice(len)
}

impl<'a> Body<'a> {
    fn emit(&self, w: &mut Put<'_>) {
        w.u8(self.kind.0).put(&self.id.0);
        match self.content {
            Content::Here(bytes) => w.u8(bytes.len() as u8).put(bytes),
            Content::Item { slot, len } => w.u8(ELSEWHERE).u8(slot).u16(len),
        };
    }

    fn parse(r: &mut Take<'a>, extra: u8) -> Option<Self> {
        Some(Self {
            kind: Kind(r.u8()?),
            id: MessageId(r.array()?),
            extra,
            stored_at: 0,
            content: match r.u8()? {
                ELSEWHERE => Content::Item {
                    slot: r.u8()?,
                    len: r.u16()?,
                },
                len if usize::from(len) <= INLINE => Content::Here(r.slice(usize::from(len))?),
                _ => return None,
            },
        })
    }
}

impl Batch {
    /// Bytes before the records.
    const HEAD: usize = 4;

    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: 0,
            urgent: false,
            bases: 0,
            rings: 0,
            table: false,
            letter: None,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.zeroize();
        *self = Self::new();
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether most of the room is taken, so that what could wait is written, too.
    pub(crate) const fn is_long(&self) -> bool {
        self.len > ROOM / 2
    }

    /// Stages a record. `false`: there is no room, write the batch first.
    pub(crate) fn stage(&mut self, record: &Record<'_>) -> bool {
        let mut w = Put::new(self.bytes.get_mut(self.len..).unwrap_or_default());
        record.emit(&mut w);
        let Some(len) = w.len() else { return false };
        let at = self.len;
        self.len += len;
        match record {
            Record::Change { contact, .. } => self.bases |= 1 << contact,
            Record::Done { contact, .. } => self.rings |= 1 << contact,
            Record::Letter {
                contact, letter, ..
            } => {
                self.rings |= 1 << contact;
                self.table = true;
                self.letter = Some((at + 1, letter.id));
            }
            _ => self.table = true,
        }
        self.urgent |= match record {
            // What is lost of these with the power is found again, or told again, and no harm done.
            Record::Told { .. } | Record::Accepted { .. } | Record::Further { .. } => false,
            Record::Own { state, .. } => *state == OwnState::Queued,
            Record::Read { .. } => false,
            _ => true,
        };
        true
    }

    /// Marks a letter that is staged as one to be receipted. `false`: it is not the last one staged.
    pub(crate) fn owe(&mut self, id: &MessageId) -> bool {
        let Some((at, _)) = self.letter.filter(|(_, letter)| letter == id) else {
            return false;
        };
        if let Some(flags) = self.bytes.get_mut(at) {
            *flags |= OWED_FLAG;
        }
        true
    }

    /// The records staged.
    pub(crate) fn records(&self) -> Records<'_> {
        Records(Take(self.bytes.get(..self.len).unwrap_or_default()))
    }

    /// Writes the contents of the item.
    pub(crate) fn emit(&self, clock: u64, room: &mut [u8]) -> Option<usize> {
        let mut w = Put::new(room);
        w.u32(u32::try_from(clock >> 10).unwrap_or(u32::MAX));
        w.put(self.bytes.get(..self.len)?);
        w.len()
    }

    /// Reads the contents of an item: the clock, and the records.
    pub(crate) fn parse(contents: &[u8]) -> Option<(u64, Records<'_>)> {
        let (head, rest) = contents.split_first_chunk::<{ Self::HEAD }>()?;
        Some((
            u64::from(u32::from_be_bytes(*head)) << 10,
            Records(Take(rest)),
        ))
    }
}

/// The records of a batch, one after another; it ends at what is none.
#[derive(Clone)]
pub(crate) struct Records<'a>(Take<'a>);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.0.is_empty() {
            return None;
        }
        Record::parse(&mut self.0)
    }
}
