//! Messages on their way in: who may, what fits, what is repeated.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::deliver::DELIVER_OVERHEAD;
use super::{ConnId, RETRY_AWAY_S, RETRY_FULL_S, RETRY_STORE_S, Relay, room};
use crate::clock::Now;
use crate::limits::BESIDE;
use crate::mailbox::{Entry, Mailbox, State};
use crate::rate::Rate;
use crate::request::{Answer, Submission};
use crate::store::StoreError;
use crate::store::record::{MESSAGE_HEADER, MessageHeader};

impl Relay {
    pub(super) fn submit(&mut self, conn: ConnId, sender: Address, message: Submission, now: Now) {
        let id = message.id;
        if let Err((reason, retry_s)) = self.try_submit(conn, sender, message, now) {
            self.send(
                conn,
                Answer::Rejected {
                    id,
                    reason,
                    retry_s,
                },
            );
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
        bucket
            .take(now.mono_us, rate)
            .map_err(|retry_s| (Reason::RateLimited, retry_s))?;

        if self.is_repeated(conn, &to, &id) {
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
                return Err((reason, self.retry_full_s(&to)));
            }
            return Err((reason, 0));
        }
        let cost = room::cost(len as u64);
        let stored = self.stored_bytes + self.stored_messages * BESIDE;
        if stored + len as u64 + BESIDE > self.limits.store_bytes || !self.room.has(cost) {
            return Err((Reason::StoreTrouble, RETRY_FULL_S));
        }

        let sequence = self.next_sequence(now);
        self.last_sequence = sequence;
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
        self.room.spend(cost);
        self.tally.submitted += 1;
        self.deferred.bytes += len;
        let entry = Entry {
            arrival,
            sequence,
            sender,
            id,
            len: len as u32,
        };
        let mailbox = self.mailboxes.entry(to).or_default();
        mailbox.push_fresh(entry, record, conn);
        if let Some(recipient) = self.online.get(&to) {
            self.pump(*recipient);
        }
        self.store_or_defer(to, sequence, now);
        Ok(())
    }

    /// A mailbox whose owner is there empties soon; another one may stay as it is for long.
    fn retry_full_s(&self, to: &Address) -> u32 {
        match self.online.contains_key(to) {
            true => 1,
            false => RETRY_AWAY_S,
        }
    }

    /// Whether the relay has this envelope already, or had it: then nothing is stored again.
    fn is_repeated(&mut self, conn: ConnId, to: &Address, id: &EnvelopeId) -> bool {
        let mailbox = self.mailboxes.get_mut(to);
        match mailbox.and_then(|mailbox| mailbox.state(id)) {
            // Whoever sent it first: `accepted` waits for the disk, and says no more than that.
            Some(State::Fresh(fresh)) => {
                if !fresh.waiting.contains(&conn) {
                    fresh.waiting.push(conn);
                }
                return true;
            }
            Some(State::Durable) => {}
            None if self.acked.contains(to, id) => {}
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
        let allowed = self
            .is_allowed(sender, to, account.as_deref())
            .map_err(trouble)?;
        match account {
            Some(account) if allowed => Ok(account.max_frame),
            _ => Err((Reason::NotAccepted, 0)),
        }
    }
}
