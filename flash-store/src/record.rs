//! The records of a batch. FORMAT 4

use hushwire_core::{
    session::Kind,
    storage::{Incoming, OutboxState, RelayMark},
    wire::MessageId,
};

use crate::{
    batch::INLINE,
    bytes::{Put, Take},
    tables::Entry,
};

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
pub(crate) const OWED_FLAG: u8 = 0x01;
const EXTRA_FLAG: u8 = 0x02;
/// A body's length where it stands in an item.
const ELSEWHERE: u8 = 0xff;

impl Record<'_> {
    pub(crate) fn emit(&self, w: &mut Put<'_>) {
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

/// The records of a batch, one after another; it ends at what is none.
#[derive(Clone)]
pub(crate) struct Records<'a>(pub(crate) Take<'a>);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.0.is_empty() {
            return None;
        }
        Record::parse(&mut self.0)
    }
}
