//! Messages on their way out: delivered, acknowledged, refused; and what the disk said of them.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::{Action, ConnId, RETRY_STORE_S, Relay};
use crate::fresh::Waiting;
use crate::ledger::Held;
use crate::mailbox::{Mailbox, Removed};
use crate::request::Answer;
use crate::store::{Key, StoreError};

/// What a DELIVER frame has beside the envelope: opcode, sequence, time, sender.
pub(super) const DELIVER_OVERHEAD: usize = 1 + 8 + 8 + 20;

/// What keeps a message from being delivered.
enum Obstacle {
    /// Nothing: it was.
    None,
    /// The client's frames cannot hold it.
    TooLong,
    /// The store has no such row.
    Gone,
    Store(StoreError),
}

impl Relay {
    /// Sends what waits, as far as the window goes.
    pub(super) fn pump(&mut self, conn: ConnId) {
        while let Some((owner, sequence, obstacle)) = self.send_next(conn) {
            match obstacle {
                Obstacle::None => {}
                // The device can never take it, and it would block all behind it.
                Obstacle::TooLong => {
                    match self.erase(&owner, sequence) {
                        Some(removed) if removed.is_durable() => {
                            self.is_taken_off(owner, removed, true);
                        }
                        // Nobody was told that it is accepted, and nobody is.
                        Some(removed) => self.reject_waiting(removed, Reason::TooLarge, 0),
                        None => {}
                    }
                }
                Obstacle::Store(StoreError::Altered(table)) => {
                    // It cannot be delivered, now or later; what is behind it can.
                    tracing::error!(table, "a stored message was altered and is set aside");
                    self.tally.damaged_rows += 1;
                    self.forget(&owner, sequence);
                }
                Obstacle::Gone => {
                    // A commit took it off of which the disk said that it did not happen.
                    tracing::error!("a stored message is gone");
                    self.tally.damaged_rows += 1;
                    self.forget(&owner, sequence);
                }
                Obstacle::Store(error) => return self.fault(conn, &error),
            }
        }
    }

    /// Sends the next message of the connection's own mailbox, if the window has room for it.
    fn send_next(&mut self, conn: ConnId) -> Option<(Address, u64, Obstacle)> {
        let peer = self.peers.get_mut(&conn)?;
        let owner = peer.address;
        let mailbox = self.mailboxes.get(&owner)?;
        let entry = mailbox.after(peer.cursor)?;
        let max_len = usize::from(peer.max_frame()).saturating_sub(DELIVER_OVERHEAD);
        if entry.len as usize > max_len {
            return Some((owner, entry.sequence, Obstacle::TooLong));
        }
        if !peer.has_room(entry.len) {
            return None;
        }
        // In memory as long as the disk has it not.
        let record = match mailbox.fresh(entry.sequence) {
            Some(fresh) => Ok(Some(Arc::clone(&fresh.record))),
            None => self.ledger.read(&Key::Message(entry.arrival)),
        };
        let record = match record {
            Ok(Some(record)) => record,
            Ok(None) => return Some((owner, entry.sequence, Obstacle::Gone)),
            Err(error) => return Some((owner, entry.sequence, Obstacle::Store(error))),
        };
        peer.delivered(entry.id, entry.len, entry.sequence);
        self.tally.delivered += 1;
        let sent = Answer::Deliver(record);
        self.actions.push_back(Action::Send(conn, sent));
        Some((owner, entry.sequence, Obstacle::None))
    }

    /// The owner has stored the message (or cannot open it): it leaves the mailbox. Only the
    /// mailbox of the connection's own address is looked at.
    pub(super) fn take_off(&mut self, conn: ConnId, owner: Address, id: EnvelopeId, refused: bool) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.answered(&id);
        }
        let mailbox = self.mailboxes.get_mut(&owner);
        if let Some(removed) = mailbox.and_then(|mailbox| mailbox.take(&id)) {
            self.acked.insert(owner, id);
            self.has_left(&owner, &removed);
            if removed.is_written() {
                self.ledger.delete_message(removed.entry.arrival);
            }
            self.is_taken_off(owner, removed, refused);
            match refused {
                true => self.tally.unopened += 1,
                false => self.tally.acknowledged += 1,
            }
        }
        self.pump(conn);
    }

    /// The recipient has answered the message: whoever waits for `accepted` gets it. Where it could not be
    /// opened, the notice is all that is left of it, and the disk must have that first.
    fn is_taken_off(&mut self, owner: Address, removed: Removed, unopened: bool) {
        let entry = removed.entry;
        let waiting = removed.into_waiting();
        if !unopened {
            return self.accept_all(entry.id, waiting);
        }
        self.add_notice(&entry.sender, NoticeKind::Unopened, owner, 1);
        if !waiting.is_empty() {
            let id = entry.id;
            self.ledger.hold(Held::Unopened { id, waiting });
        }
    }

    pub(super) fn accept_all(&mut self, id: EnvelopeId, waiting: Waiting) {
        for conn in waiting {
            self.accept(conn, id);
        }
    }

    /// Takes a message out of memory and off the disk.
    pub(super) fn erase(&mut self, owner: &Address, sequence: u64) -> Option<Removed> {
        let removed = self.forget(owner, sequence)?;
        if removed.is_written() {
            self.ledger.delete_message(removed.entry.arrival);
        }
        Some(removed)
    }

    /// Takes a message out of memory.
    pub(super) fn forget(&mut self, owner: &Address, sequence: u64) -> Option<Removed> {
        let removed = self.mailboxes.get_mut(owner)?.remove(sequence)?;
        self.has_left(owner, &removed);
        Some(removed)
    }

    /// What is counted beside the mailbox follows it.
    fn has_left(&mut self, owner: &Address, removed: &Removed) {
        let entry = &removed.entry;
        if self.mailboxes.get(owner).is_some_and(Mailbox::is_empty) {
            self.mailboxes.remove(owner);
        }
        if !removed.is_written() {
            self.deferred.bytes -= entry.len as usize;
        }
        self.stored_messages -= 1;
        self.stored_bytes -= u64::from(entry.len);
    }

    pub(super) fn write_acked(&mut self) {
        self.acked.write(&mut self.ledger);
    }

    pub(super) fn accept(&mut self, conn: ConnId, id: EnvelopeId) {
        self.tally.accepted += 1;
        self.send(conn, Answer::Accepted(id));
    }

    /// The disk has it: `accepted` may leave.
    pub(super) fn message_is_durable(&mut self, to: Address, sequence: u64) {
        let mailbox = self.mailboxes.get_mut(&to);
        let Some((id, waiting)) = mailbox.and_then(|mailbox| mailbox.settle(sequence)) else {
            return;
        };
        self.accept_all(id, waiting);
    }

    /// The disk did not take it: it was never here. A recipient that saw it meanwhile knows it
    /// again when the sender repeats it.
    pub(super) fn message_is_lost(&mut self, to: Address, sequence: u64) {
        let Some(removed) = self.forget(&to, sequence) else {
            return;
        };
        self.reject_waiting(removed, Reason::StoreTrouble, RETRY_STORE_S);
    }

    /// Who was never told that the message is accepted hears that it is not.
    pub(super) fn reject_waiting(&mut self, removed: Removed, reason: Reason, retry_s: u32) {
        let id = removed.entry.id;
        self.reject_all(id, removed.into_waiting(), reason, retry_s);
    }

    pub(super) fn reject_all(
        &mut self,
        id: EnvelopeId,
        waiting: Waiting,
        reason: Reason,
        retry_s: u32,
    ) {
        for conn in waiting {
            let rejected = Answer::Rejected {
                id,
                reason,
                retry_s,
            };
            self.send(conn, rejected);
        }
    }
}
