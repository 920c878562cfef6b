//! Messages that the disk is spared for a moment, because their recipient is there to ack them.
//!
//! Such a message is on its way to the recipient already. If the ack comes in time, the disk never
//! hears of it; if not, or if the recipient leaves, it is stored like any other. `accepted` waits
//! for whichever comes first, as ever.

use std::collections::VecDeque;

use hushwire_core::identity::Address;

use super::Relay;
use crate::clock::Now;
use crate::ledger::Held;
use crate::mailbox::Mailbox;

/// What waits, in the order of its deadlines. What was acked stays in it while another is before it.
#[derive(Default)]
pub(super) struct Deferred {
    queue: VecDeque<(u64, Address, u64)>,
    /// Envelopes in memory only.
    pub(super) bytes: usize,
}

impl Relay {
    /// Stores a new message at once, or later where its recipient has it on its way.
    pub(super) fn store_or_defer(&mut self, to: Address, sequence: u64, now: Now) {
        let recipient = self.online.get(&to).and_then(|conn| self.peers.get(conn));
        let is_sent = recipient.is_some_and(|peer| peer.cursor >= sequence);
        if !is_sent || self.limits.ack_wait_ms == 0 || self.stopping {
            return self.store_message(&to, sequence);
        }
        let due_us = now.mono_us + u64::from(self.limits.ack_wait_ms) * 1000;
        self.deferred.queue.push_back((due_us, to, sequence));
    }

    /// Hands the message to the disk, unless that was done or it is gone.
    fn store_message(&mut self, to: &Address, sequence: u64) {
        let mailbox = self.mailboxes.get_mut(to);
        let Some((entry, record)) = mailbox.and_then(|mailbox| mailbox.write(sequence)) else {
            return;
        };
        self.deferred.bytes -= entry.len as usize;
        self.ledger.put_message(entry.arrival, record);
        self.ledger.hold(Held::Message { to: *to, sequence });
    }

    /// Microseconds of the caller's clock at which `store_overdue` has something to do; late is no
    /// harm.
    pub fn next_overdue_us(&self) -> Option<u64> {
        self.deferred.queue.front().map(|(due_us, ..)| *due_us)
    }

    /// Hands to the disk what was not acked in time. What was is no reason to wake up for: it goes from the
    /// queue's front.
    pub fn store_overdue(&mut self, now: Now) {
        while let Some((due_us, to, sequence)) = self.deferred.queue.front().copied() {
            let mailbox = self.mailboxes.get(&to);
            let waits = mailbox.is_some_and(|mailbox| mailbox.is_unwritten(sequence));
            if waits && due_us > now.mono_us {
                return;
            }
            self.deferred.queue.pop_front();
            if waits {
                self.store_message(&to, sequence);
            }
        }
    }

    /// The recipient will not ack any more.
    pub(super) fn store_all_for(&mut self, owner: &Address) {
        let mailbox = self.mailboxes.get(owner);
        let unwritten = mailbox.into_iter().flat_map(Mailbox::unwritten);
        let unwritten: Vec<_> = unwritten.collect();
        for sequence in unwritten {
            self.store_message(owner, sequence);
        }
    }

    /// Nobody is waited for any more.
    pub(super) fn store_all(&mut self) {
        while let Some((_, to, sequence)) = self.deferred.queue.pop_front() {
            self.store_message(&to, sequence);
        }
    }
}
