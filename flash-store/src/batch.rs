//! The journal: what one commit changed, as one sealed item. FORMAT 4
//!
//! ```text
//! clear: number u16     sealed: clock, 1024 ms, u32 ‖ records, each: tag (kind << 4 | contact) ‖ …
//! ```
//! Batches stand under a window of names in turn. Whatever a batch says must be in a record of its
//! own before its name is used again.

use hushwire_core::wire::MessageId;
use zeroize::Zeroize as _;

use crate::{
    bytes::{Put, Take},
    record::{OWED_FLAG, OwnState, Record, Records},
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
