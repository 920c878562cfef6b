//! Messages: submit, deliver, acknowledge, refuse, expire.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{ConnId, RETRY_FULL_S, RETRY_STORE_S, Relay};
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use crate::clock::Now;
use crate::ledger::Held;
use crate::mailbox::{Entry, Mailbox};
use crate::rate::Rate;
use crate::request::{Answer, Submission};
use crate::store::record::{self, MESSAGE_HEADER, MessageHeader};
use crate::store::{Key, StoreError, Table};

/// What a DELIVER frame has beside the envelope: opcode, sequence, time, sender.
const DELIVER_OVERHEAD: usize = 1 + 8 + 8 + 20;

/// Expired messages that are looked at in one tick.
const EXPIRE_AT_ONCE: usize = 1_000;

impl Relay {
    pub(super) fn submit(&mut self, conn: ConnId, sender: Address, message: Submission, now: Now) {
        let id = message.id;
        if let Err((reason, retry_s)) = self.try_submit(conn, sender, message, now) {
            self.send(conn, Answer::Rejected { id, reason, retry_s });
        }
    }

    fn try_submit(
        &mut self,
        conn: ConnId,
        sender: Address,
        Submission { to, id, mut record }: Submission,
        now: Now,
    ) -> Result<(), (Reason, u32)> {
        if self.stopping {
            return Err((Reason::Stopping, RETRY_STORE_S));
        }
        let rate = Rate::per_second(self.limits.submit_rate, self.limits.submit_burst);
        let bucket = &mut self.rates.entry(sender).or_default().submit;
        bucket.take(now.mono_us, rate).map_err(|retry_s| (Reason::RateLimited, retry_s))?;

        if self.is_repeated(conn, sender, &to, &id) {
            return Ok(());
        }
        let max_frame = self.may_reach(&sender, &to)?;
        let len = record.len() - MESSAGE_HEADER;
        if max_frame > 0 && len + DELIVER_OVERHEAD > usize::from(max_frame) {
            return Err((Reason::TooLarge, 0));
        }
        let empty = Mailbox::default();
        let mailbox = self.mailboxes.get(&to).unwrap_or(&empty);
        if let Err(reason) = mailbox.admit(&sender, len as u64, &self.limits) {
            if reason != Reason::TooLarge {
                self.add_notice(&to, NoticeKind::Refused, sender, 1);
                return Err((reason, RETRY_FULL_S));
            }
            return Err((reason, 0));
        }
        if self.stored_bytes + len as u64 > self.limits.store_bytes {
            return Err((Reason::StoreTrouble, RETRY_FULL_S));
        }

        let sequence = self.next_sequence(&to, now);
        let header = MessageHeader {
            to,
            id,
            stored_on_clock_s: self.clock.expiry_s(now),
            sequence,
            stored_at_unix_s: now.unix_s,
            sender,
        };
        match Arc::get_mut(&mut record) {
            Some(record) => header.emit(record),
            None => header.emit(Arc::make_mut(&mut record)),
        }
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        self.stored_messages += 1;
        self.stored_bytes += len as u64;
        self.tally.submitted += 1;
        self.ledger.put_message(arrival, Arc::clone(&record));
        self.ledger.hold(Held::Message { to, sequence });
        self.mailboxes.entry(to).or_default().push(Entry {
            arrival,
            sequence,
            sender,
            id,
            len: len as u32,
            durable: false,
            record: Some(record),
            waiting: vec![conn],
        });
        if let Some(recipient) = self.online.get(&to) {
            self.pump(*recipient);
        }
        Ok(())
    }

    /// Whether the relay has this envelope already, or had it: then nothing is stored again.
    fn is_repeated(
        &mut self,
        conn: ConnId,
        sender: Address,
        to: &Address,
        id: &EnvelopeId,
    ) -> bool {
        let entry = self.mailboxes.get_mut(to).and_then(|mailbox| mailbox.by_id(id));
        match entry {
            Some(entry) if entry.sender == sender && !entry.durable => {
                if !entry.waiting.contains(&conn) {
                    entry.waiting.push(conn);
                }
                return true;
            }
            // When another sent it first: it is there, and that is all that this sender learns.
            Some(_) => {}
            None if self.acked.known.contains(&(*to, *id)) => {}
            None => return false,
        }
        self.accept(conn, *id);
        true
    }

    /// Whether `sender` may write to `to`: the largest frame of its device, 0 for unknown. Unknown
    /// and forbidden cost the same reads and give the same answer.
    fn may_reach(&mut self, sender: &Address, to: &Address) -> Result<u16, (Reason, u32)> {
        let trouble = |error: StoreError| {
            tracing::error!(%error, "a submit met store trouble");
            (Reason::StoreTrouble, RETRY_STORE_S)
        };
        let account = self.ledger.account(to).map_err(trouble)?;
        let allowed = self.is_allowed(sender, to, account.as_deref()).map_err(trouble)?;
        match account {
            Some(account) if allowed => Ok(account.max_frame),
            _ => Err((Reason::NotAccepted, 0)),
        }
    }

    /// Sends what waits, as far as the window goes.
    pub(super) fn pump(&mut self, conn: ConnId) {
        loop {
            let Some(peer) = self.peers.get(&conn).filter(|peer| peer.has_room()) else { return };
            let (owner, cursor) = (peer.address, peer.cursor);
            let max_len = usize::from(peer.max_frame()).saturating_sub(DELIVER_OVERHEAD);
            let Some(entry) = self.mailboxes.get(&owner).and_then(|mailbox| mailbox.after(cursor))
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
                Ok(None) => return self.fault(conn, &StoreError::Damaged("a message is gone".into())),
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
        let entry = self.mailboxes.get_mut(&owner).and_then(|mailbox| mailbox.by_id(&id));
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
        let Some(entry) = self.forget(owner, sequence) else { return };
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
        self.ledger.put(Key::Acked(number), record::emit_acked(&to, &id));
        while self.acked.order.len() > self.limits.remembered_acks as usize {
            let Some((oldest, to, id)) = self.acked.order.pop_front() else { break };
            self.acked.known.remove(&(to, id));
            self.ledger.delete(Key::Acked(oldest));
        }
    }

    fn accept(&mut self, conn: ConnId, id: EnvelopeId) {
        self.tally.accepted += 1;
        self.send(conn, Answer::Accepted(id));
    }

    /// The disk has it: `accepted` may leave.
    pub(super) fn message_is_durable(&mut self, to: Address, sequence: u64) {
        let mailbox = self.mailboxes.get_mut(&to);
        let Some(entry) = mailbox.and_then(|mailbox| mailbox.by_sequence(sequence)) else { return };
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
        let Some(entry) = self.forget(&to, sequence) else { return };
        for conn in entry.waiting {
            let reason = Reason::StoreTrouble;
            self.send(conn, Answer::Rejected { id: entry.id, reason, retry_s: RETRY_STORE_S });
        }
    }

    /// Removes what has waited for too long. Rows are in order of arrival, and so of expiry.
    pub(super) fn expire(&mut self, now: Now) {
        let clock_s = self.clock.expiry_s(now);
        let Some(deadline_s) = clock_s.checked_sub(self.limits.expiry.as_secs()) else { return };
        let mut expired = Vec::new();
        let walked = self.ledger.store().walk(Table::Messages, 0, &mut |arrival, row| {
            match MessageHeader::parse(row) {
                Ok(header) if header.stored_on_clock_s <= deadline_s => {
                    expired.push((arrival, header));
                }
                _ => return ControlFlow::Break(()),
            }
            match expired.len() < EXPIRE_AT_ONCE {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if let Err(error) = walked {
            tracing::error!(%error, "expiry waits for the store");
        }

        for (arrival, header) in expired {
            // A row whose deletion is on its way is in the store and no longer in the mailbox.
            let Some(entry) = self.forget(&header.to, header.sequence) else { continue };
            self.ledger.delete_message(arrival);
            self.tally.expired += 1;
            if let Some(conn) = self.online.get(&header.to).copied() {
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.answered(&entry.id);
                }
                self.pump(conn);
            }
            self.add_notice(&header.sender, NoticeKind::SentExpired, header.to, 1);
            self.add_notice(&header.to, NoticeKind::ReceivedExpired, header.sender, 1);
        }
    }
}
