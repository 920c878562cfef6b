//! Messages on their way out: delivered, acknowledged, refused; and what the disk said of them.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::{ConnId, RETRY_STORE_S, Relay};
use crate::mailbox::Entry;
use crate::request::Answer;
use crate::store::{Key, StoreError};

/// What a DELIVER frame has beside the envelope: opcode, sequence, time, sender.
pub(super) const DELIVER_OVERHEAD: usize = 1 + 8 + 8 + 20;

/// A message that is about to be delivered.
struct Next {
    owner: Address,
    sequence: u64,
    id: EnvelopeId,
    len: u32,
    /// Whether the client's frames can hold it.
    fits: bool,
}

impl Relay {
    /// Sends what waits, as far as the window goes.
    pub(super) fn pump(&mut self, conn: ConnId) {
        while let Some(next) = self.next_for(conn) {
            if !next.fits {
                // The device can never take it, and it would block all behind it.
                self.remove(&next.owner, next.sequence, true);
                continue;
            }
            let record = match self.record(&next.owner, next.sequence) {
                Ok(record) => record,
                Err(StoreError::Altered(table)) => {
                    // It cannot be delivered, now or later; what is behind it can.
                    tracing::error!(table, "a stored message was altered and is set aside");
                    self.tally.damaged_rows += 1;
                    self.forget(&next.owner, next.sequence);
                    continue;
                }
                Err(error) => return self.fault(conn, &error),
            };
            if let Some(peer) = self.peers.get_mut(&conn) {
                peer.delivered(next.id, next.len, next.sequence);
            }
            self.tally.delivered += 1;
            self.send(conn, Answer::Deliver(record));
        }
    }

    /// The next message of the connection's own mailbox, if the window has room for it.
    fn next_for(&self, conn: ConnId) -> Option<Next> {
        let peer = self.peers.get(&conn)?;
        let entry = self.mailboxes.get(&peer.address)?.after(peer.cursor)?;
        let max_len = usize::from(peer.max_frame()).saturating_sub(DELIVER_OVERHEAD);
        let next = Next {
            owner: peer.address,
            sequence: entry.sequence,
            id: entry.id,
            len: entry.len,
            fits: entry.len as usize <= max_len,
        };
        (!next.fits || peer.has_room(next.len)).then_some(next)
    }

    /// The stored record of a message, from memory as long as the disk has it not.
    fn record(&mut self, owner: &Address, sequence: u64) -> Result<Arc<[u8]>, StoreError> {
        let mailbox = self.mailboxes.get_mut(owner);
        let entry = mailbox.and_then(|mailbox| mailbox.by_sequence(sequence));
        let row = match entry {
            Some(Entry {
                record: Some(record),
                ..
            }) => return Ok(Arc::clone(record)),
            Some(entry) => self.ledger.read(&Key::Message(entry.arrival))?,
            None => None,
        };
        row.ok_or_else(|| StoreError::Damaged("a message is gone".into()))
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
            self.acked.insert(owner, id);
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
        let Some(entry) = self.erase(owner, sequence) else {
            return;
        };
        for conn in entry.waiting {
            self.accept(conn, entry.id);
        }
        if unopened {
            self.add_notice(&entry.sender, NoticeKind::Unopened, *owner, 1);
        }
    }

    /// Takes a message out of memory and off the disk.
    pub(super) fn erase(&mut self, owner: &Address, sequence: u64) -> Option<Entry> {
        let entry = self.forget(owner, sequence)?;
        if entry.written {
            self.ledger.delete_message(entry.arrival);
        }
        Some(entry)
    }

    /// Takes a message out of memory.
    pub(super) fn forget(&mut self, owner: &Address, sequence: u64) -> Option<Entry> {
        let mailbox = self.mailboxes.get_mut(owner)?;
        let entry = mailbox.remove(sequence)?;
        if mailbox.is_empty() {
            self.mailboxes.remove(owner);
            self.last_sequence = self.last_sequence.max(sequence);
        }
        if !entry.written {
            self.deferred.bytes -= entry.len as usize;
        }
        self.stored_messages -= 1;
        self.stored_bytes -= u64::from(entry.len);
        Some(entry)
    }

    pub(super) fn write_acked(&mut self) {
        let limit = self.limits.remembered_acks as usize;
        self.acked.write(&mut self.ledger, limit);
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
