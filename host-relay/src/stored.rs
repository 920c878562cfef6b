//! What waits in all mailboxes, as it is in memory: read from the store's rows once, and kept up with a copy that
//! another relay's batches go into. A relay that takes the store over has it ready then, however much waits.

use std::ops::ControlFlow;

use foldhash::HashMap;
use hushwire_core::identity::Address;

use crate::mailbox::{Entry, Mailbox};
use crate::store::record::{MESSAGE_HEADER, MessageHeader};
use crate::store::{Store, StoreError, Table};

/// All mailboxes with something in them.
#[derive(Debug, Default)]
pub struct Stored {
    pub(crate) mailboxes: HashMap<Address, Mailbox>,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The highest sequence of all.
    pub(crate) last_sequence: u64,
    /// The number behind that of the newest row.
    pub(crate) next_arrival: u64,
    /// Rows that are not what was written.
    pub(crate) damaged: u64,
}

impl Stored {
    /// Reads every message's row.
    pub(crate) fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut stored = Self::default();
        let walked = store.walk(Table::Messages, 0, &mut |arrival, row| {
            stored.put(arrival, row);
            ControlFlow::Continue(())
        })?;
        stored.damaged += walked.damaged;
        stored.next_arrival = walked.next;
        Ok(stored)
    }

    /// The row of a message is there; said again, it changes nothing.
    pub(crate) fn put(&mut self, arrival: u64, row: &[u8]) {
        self.next_arrival = self.next_arrival.max(arrival.saturating_add(1));
        let Ok(header) = MessageHeader::parse(row) else {
            self.damaged += 1;
            return;
        };
        let len = (row.len() - MESSAGE_HEADER) as u32;
        let entry = Entry {
            arrival,
            sequence: header.sequence,
            sender: header.sender,
            id: header.id,
            len,
        };
        if self.mailboxes.entry(header.to).or_default().insert(entry) {
            self.last_sequence = self.last_sequence.max(header.sequence);
            self.messages += 1;
            self.bytes += u64::from(len);
        }
    }

    /// The row of a message, which was this, is no more; said again, it changes nothing.
    #[cfg(feature = "cluster")]
    pub(crate) fn remove(&mut self, row: &[u8]) {
        let Ok(header) = MessageHeader::parse(row) else {
            self.damaged = self.damaged.saturating_sub(1);
            return;
        };
        let Some(mailbox) = self.mailboxes.get_mut(&header.to) else {
            return;
        };
        if let Some(removed) = mailbox.remove(header.sequence) {
            self.messages -= 1;
            self.bytes -= u64::from(removed.entry.len);
        }
        if mailbox.is_empty() {
            self.mailboxes.remove(&header.to);
        }
    }

    /// Whether both are of the same rows. Which row was the newest ever, and the highest sequence of those that are
    /// gone, one may know that was there and the other not.
    #[cfg(debug_assertions)]
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let entries = |of: &Self, address| {
            let mailbox: Option<&Mailbox> = of.mailboxes.get(address);
            mailbox.map(|mailbox| mailbox.iter().copied().collect::<Vec<_>>())
        };
        (self.messages, self.bytes, self.damaged) == (other.messages, other.bytes, other.damaged)
            && self.next_arrival >= other.next_arrival
            && self.last_sequence >= other.last_sequence
            && self.mailboxes.len() == other.mailboxes.len()
            && self
                .mailboxes
                .keys()
                .all(|address| entries(self, address) == entries(other, address))
    }
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use hushwire_core::wire::EnvelopeId;

    use super::*;

    fn row(to: u8, sequence: u64) -> Vec<u8> {
        let mut row = vec![7; MESSAGE_HEADER + 10];
        let header = MessageHeader {
            to: Address([to; 20]),
            id: EnvelopeId([sequence as u8; 16]),
            stored_on_clock_s: 1,
            sequence,
            stored_at_unix_s: 1,
            sender: Address([9; 20]),
        };
        header.emit(&mut row);
        row
    }

    fn sequences(stored: &Stored, to: u8) -> Vec<u64> {
        let mailbox = stored.mailboxes.get(&Address([to; 20]));
        let entries = mailbox.into_iter().flat_map(Mailbox::iter);
        entries.map(|entry| entry.sequence).collect()
    }

    /// A message that waited for its ack in memory comes behind a later one of the same mailbox.
    #[test]
    fn mailboxes_are_in_the_order_of_their_sequences() {
        let mut stored = Stored::default();
        for (arrival, sequence) in [(1, 10), (3, 30), (2, 20), (4, 5)] {
            stored.put(arrival, &row(1, sequence));
        }
        stored.put(5, &row(2, 15));
        assert_eq!(sequences(&stored, 1), [5, 10, 20, 30]);
        assert_eq!((stored.messages, stored.bytes), (5, 50));
        assert_eq!((stored.last_sequence, stored.next_arrival), (30, 6));
        stored.remove(&row(1, 20));
        stored.remove(&row(2, 15));
        assert_eq!(sequences(&stored, 1), [5, 10, 30]);
        assert_eq!((stored.messages, stored.mailboxes.len()), (3, 1));
    }

    /// A batch of the journal may be applied once more.
    #[test]
    fn what_is_said_again_changes_nothing() {
        let mut stored = Stored::default();
        for _ in 0..2 {
            stored.put(1, &row(1, 10));
            stored.put(2, &row(1, 20));
            stored.put(3, b"no message");
        }
        assert_eq!(sequences(&stored, 1), [10, 20]);
        for _ in 0..2 {
            stored.remove(&row(1, 10));
        }
        assert_eq!((sequences(&stored, 1), stored.messages), (vec![20], 1));
    }
}
