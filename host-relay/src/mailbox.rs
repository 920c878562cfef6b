//! One mailbox in memory: what waits for an identity, in order, without the envelopes themselves.

use std::collections::VecDeque;
use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;

use crate::limits::Limits;
use crate::relay::ConnId;

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its row in the store.
    pub(crate) arrival: u64,
    /// Its place in this mailbox.
    pub(crate) sequence: u64,
    pub(crate) sender: Address,
    pub(crate) id: EnvelopeId,
    /// Bytes of the envelope.
    pub(crate) len: u32,
    /// Whether the row survives a power cut.
    pub(crate) durable: bool,
    /// The stored record, while it is not durable: afterwards the store has it.
    pub(crate) record: Option<Arc<[u8]>>,
    /// Connections that wait for `accepted`: the sender's, and again after a repeated submit.
    pub(crate) waiting: Vec<ConnId>,
}

/// The messages of one identity, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn messages(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sequence of the newest message, 0 for none.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.sequence)
    }

    /// Whether one more envelope of `len` bytes from `sender` fits.
    pub(crate) fn admit(&self, sender: &Address, len: u64, limits: &Limits) -> Result<(), Reason> {
        let share = u64::from(limits.sender_share.max(1));
        let share_bytes = limits.mailbox_bytes / share;
        if len > share_bytes {
            return Err(Reason::TooLarge);
        }
        if self.entries.len() >= limits.mailbox_messages as usize
            || self.bytes + len > limits.mailbox_bytes
        {
            return Err(Reason::MailboxFull);
        }

        let of_sender = self.entries.iter().filter(|entry| entry.sender == *sender);
        let (messages, bytes) = of_sender.fold((0, 0), |(messages, bytes), entry| {
            (messages + 1, bytes + u64::from(entry.len))
        });
        let share_messages = (u64::from(limits.mailbox_messages) / share).max(1);
        if messages >= share_messages || bytes + len > share_bytes {
            return Err(Reason::ShareFull);
        }
        Ok(())
    }

    /// Appends; sequences only rise.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert!(entry.sequence > self.last_sequence());
        self.bytes += u64::from(entry.len);
        self.entries.push_back(entry);
    }

    pub(crate) fn by_id(&mut self, id: &EnvelopeId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == *id)
    }

    pub(crate) fn by_sequence(&mut self, sequence: u64) -> Option<&mut Entry> {
        let index = self
            .entries
            .binary_search_by_key(&sequence, |entry| entry.sequence)
            .ok()?;
        self.entries.get_mut(index)
    }

    /// The first message behind `sequence`.
    pub(crate) fn after(&self, sequence: u64) -> Option<&Entry> {
        let index = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        self.entries.get(index)
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let index = self
            .entries
            .binary_search_by_key(&sequence, |entry| entry.sequence)
            .ok()?;
        let entry = self.entries.remove(index)?;
        self.bytes -= u64::from(entry.len);
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, sender: u8, len: u32) -> Entry {
        Entry {
            arrival: sequence,
            sequence,
            sender: Address([sender; 20]),
            id: EnvelopeId([sequence as u8; 16]),
            len,
            durable: true,
            record: None,
            waiting: Vec::new(),
        }
    }

    fn limits() -> Limits {
        Limits {
            mailbox_messages: 8,
            mailbox_bytes: 800,
            ..Limits::default()
        }
    }

    #[test]
    fn a_quarter_for_each_sender_by_messages_and_by_bytes() {
        let (alice, bob) = (Address([1; 20]), Address([2; 20]));
        let mut mailbox = Mailbox::default();
        mailbox.push(entry(1, 1, 10));
        assert_eq!(mailbox.admit(&alice, 10, &limits()), Ok(()));
        mailbox.push(entry(2, 1, 10));
        assert_eq!(mailbox.admit(&alice, 10, &limits()), Err(Reason::ShareFull));
        assert_eq!(mailbox.admit(&bob, 200, &limits()), Ok(()));
        assert_eq!(mailbox.admit(&bob, 201, &limits()), Err(Reason::TooLarge));
        mailbox.push(entry(3, 2, 150));
        assert_eq!(mailbox.admit(&bob, 50, &limits()), Ok(()));
        assert_eq!(mailbox.admit(&bob, 51, &limits()), Err(Reason::ShareFull));
    }

    #[test]
    fn a_full_mailbox_takes_nothing_from_anybody() {
        let mut mailbox = Mailbox::default();
        for n in 1..=8 {
            mailbox.push(entry(n, n as u8, 1));
        }
        let stranger = Address([99; 20]);
        assert_eq!(
            mailbox.admit(&stranger, 1, &limits()),
            Err(Reason::MailboxFull)
        );
        mailbox.remove(3);
        assert_eq!(mailbox.admit(&stranger, 1, &limits()), Ok(()));
        assert_eq!((mailbox.messages(), mailbox.bytes()), (7, 7));
    }

    #[test]
    fn order_survives_removal() {
        let mut mailbox = Mailbox::default();
        for n in [3, 5, 9] {
            mailbox.push(entry(n, 1, 1));
        }
        assert_eq!(mailbox.after(0).unwrap().sequence, 3);
        assert_eq!(mailbox.after(3).unwrap().sequence, 5);
        mailbox.remove(5);
        assert_eq!(mailbox.after(3).unwrap().sequence, 9);
        assert!(mailbox.by_sequence(5).is_none());
        assert!(mailbox.after(9).is_none());
        assert_eq!(mailbox.by_id(&EnvelopeId([9; 16])).unwrap().sequence, 9);
    }
}
