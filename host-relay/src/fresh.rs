//! What is kept of a mailbox's messages until they survive a power cut: afterwards the store has it.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::relay::ConnId;

/// Connections that wait for `accepted`: the sender's, and again after a repeated submit.
pub(crate) type Waiting = SmallVec<[ConnId; 2]>;

/// One message that is not durable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fresh {
    /// Its place in the mailbox.
    pub(crate) sequence: u64,
    /// Whether the row was handed to the disk (`relay/defer.rs`).
    pub(crate) written: bool,
    pub(crate) record: Arc<[u8]>,
    pub(crate) waiting: Waiting,
}

/// In the order of their sequences. Without room of its own while there is none.
#[derive(Debug, Default)]
pub(crate) struct FreshOnes(VecDeque<Fresh>);

impl FreshOnes {
    pub(crate) fn push(&mut self, fresh: Fresh) {
        self.0.push_back(fresh);
    }

    fn place(&self, sequence: u64) -> Option<usize> {
        // The oldest is asked for most: it is stored, and acked, first.
        match self.0.front()?.sequence == sequence {
            true => Some(0),
            false => self
                .0
                .binary_search_by_key(&sequence, |fresh| fresh.sequence)
                .ok(),
        }
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<&Fresh> {
        self.0.get(self.place(sequence)?)
    }

    pub(crate) fn get_mut(&mut self, sequence: u64) -> Option<&mut Fresh> {
        let place = self.place(sequence)?;
        self.0.get_mut(place)
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Fresh> {
        let fresh = self.0.remove(self.place(sequence)?);
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        fresh
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fresh> {
        self.0.iter()
    }

    /// How many have room.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}
