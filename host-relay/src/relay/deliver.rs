//! Messages on their way out: delivered, acknowledged, refused; and what the disk said of them.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::{ConnId, RETRY_STORE_S, Relay};
use crate::mailbox::Entry;
use crate::request::Answer;
use crate::store::record;
use crate::store::{Key, StoreError};

/// What a DELIVER frame has beside the envelope: opcode, sequence, time, sender.
pub(super) const DELIVER_OVERHEAD: usize = 1 + 8 + 8 + 20;

impl Relay {
    /// Sends what waits, as far as the window goes.
    pub(super) fn pump(&mut self, conn: ConnId) {
        loop {
            let Some(peer) = self.peers.get(&conn).filter(|peer| peer.has_room()) else {
                return;
            };
            let (owner, cursor) = (peer.address, peer.cursor);
            let max_len = usize::from(peer.max_frame()).saturating_sub(DELIVER_OVERHEAD);
            let Some(entry) = self
                .mailboxes
                .get(&owner)
                .and_then(|mailbox| mailbox.after(cursor))
            else {
                return;
            };

            let (sequence, id) = (entry.sequence, entry.id);
            if entry.len as usize > max_len {
                // The device can never take it, and it would block all behind it.
                self.remove(&owner, sequence, true);
                continue;
            }
            let record = match &entry.record {
                Some(record) => Ok(Some(Arc::clone(record))),
                None => self.ledger.read(&Key::Message(entry.arrival)),
            };
            let record = match record {
                Ok(Some(record)) => record,
                Ok(None) => {
                    return self.fault(conn, &StoreError::Damaged("a message is gone".into()));
                }
                Err(error) => return self.fault(conn, &error),
            };
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.cursor = sequence;
                peer.in_flight.push(id);
            }
            self.tally.delivered += 1;
            self.send(conn, Answer::Deliver(record));
        }
    }

    /// The owner has stored the message (or cannot open it): it leaves the mailbox. Only the
    /// mailbox of the connection's own address is looked at.
    pub(super) fn take_off(&mut self, conn: ConnId, owner: Address, id: EnvelopeId, refused: bool) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.answered(&id);
        }
        let entry = self
            .mailboxes
            .get_mut(&owner)
            .and_then(|mailbox| mailbox.by_id(&id));
        if let Some(sequence) = entry.map(|entry| entry.sequence) {
            self.remember_acked(owner, id);
            self.remove(&owner, sequence, refused);
            match refused {
                true => self.tally.unopened += 1,
                false => self.tally.acknowledged += 1,
            }
        }
        self.pump(conn);
    }

    /// Removes a message that its recipient has answered: whoever waits for `accepted` gets it.
    fn remove(&mut self, owner: &Address, sequence: u64, unopened: bool) {
        let Some(entry) = self.forget(owner, sequence) else {
            return;
        };
        self.ledger.delete_message(entry.arrival);
        for conn in entry.waiting {
            self.accept(conn, entry.id);
        }
        if unopened {
            self.add_notice(&entry.sender, NoticeKind::Unopened, *owner, 1);
        }
    }

    /// Takes a message out of memory.
    pub(super) fn forget(&mut self, owner: &Address, sequence: u64) -> Option<Entry> {
        let mailbox = self.mailboxes.get_mut(owner)?;
        let entry = mailbox.remove(sequence)?;
        if mailbox.is_empty() {
            self.mailboxes.remove(owner);
        }
        self.stored_messages -= 1;
        self.stored_bytes -= u64::from(entry.len);
        Some(entry)
    }

    fn remember_acked(&mut self, to: Address, id: EnvelopeId) {
        let number = self.acked.next;
        self.acked.insert(number, to, id);
        self.ledger
            .put(Key::Acked(number), record::emit_acked(&to, &id));
        while self.acked.order.len() > self.limits.remembered_acks as usize {
            let Some((oldest, to, id)) = self.acked.order.pop_front() else {
                break;
            };
            self.acked.known.remove(&(to, id));
            self.ledger.delete(Key::Acked(oldest));
        }
    }

    pub(super) fn accept(&mut self, conn: ConnId, id: EnvelopeId) {
        self.tally.accepted += 1;
        self.send(conn, Answer::Accepted(id));
    }

    /// The disk has it: `accepted` may leave.
    pub(super) fn message_is_durable(&mut self, to: Address, sequence: u64) {
        let mailbox = self.mailboxes.get_mut(&to);
        let Some(entry) = mailbox.and_then(|mailbox| mailbox.by_sequence(sequence)) else {
            return;
        };
        entry.durable = true;
        entry.record = None;
        let (id, waiting) = (entry.id, std::mem::take(&mut entry.waiting));
        for conn in waiting {
            self.accept(conn, id);
        }
    }

    /// The disk did not take it: it was never here. A recipient that saw it meanwhile knows it
    /// again when the sender repeats it.
    pub(super) fn message_is_lost(&mut self, to: Address, sequence: u64) {
        let Some(entry) = self.forget(&to, sequence) else {
            return;
        };
        for conn in entry.waiting {
            let reason = Reason::StoreTrouble;
            self.send(
                conn,
                Answer::Rejected {
                    id: entry.id,
                    reason,
                    retry_s: RETRY_STORE_S,
                },
            );
        }
    }
}
