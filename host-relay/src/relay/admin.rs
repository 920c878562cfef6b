//! What the operator asks: figures, mailboxes, and one emptied.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::{RETRY_FULL_S, Relay};
use crate::clock::Now;
use crate::mailbox::Mailbox;
use crate::store::record::MessageHeader;
use crate::store::{Key, StoreError};

/// Mailboxes in one list: the logic serves nobody else while it is made.
const LISTED: usize = 1_000;

/// A mailbox as the operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxSummary {
    /// Whose it is.
    pub address: Address,
    /// Messages that wait.
    pub messages: u32,
    /// Bytes of their envelopes.
    pub bytes: u64,
    /// Seconds that the oldest waits, on the clock of expiry; 0 where its row cannot be read.
    pub oldest_s: u64,
    /// Whether its owner is connected.
    pub is_connected: bool,
}

impl Relay {
    /// The mailboxes with messages in them, the fullest first, at most 1,000.
    pub fn list_mailboxes(&self, now: Now) -> Vec<MailboxSummary> {
        let mut list: Vec<_> = self
            .mailboxes
            .iter()
            .map(|(address, mailbox)| (std::cmp::Reverse(mailbox.messages()), *address))
            .collect();
        list.sort_unstable_by_key(|(messages, address)| (*messages, address.0));
        list.truncate(LISTED);
        let list = list.into_iter();
        list.map(|(_, address)| self.summary(address, now))
            .collect()
    }

    /// One mailbox; `None` where the identity is not registered.
    pub fn show_mailbox(
        &mut self,
        address: Address,
        now: Now,
    ) -> Result<Option<MailboxSummary>, StoreError> {
        let account = self.ledger.account(&address)?;
        Ok(account.map(|_| self.summary(address, now)))
    }

    /// Empties a mailbox as if all in it had expired: both sides are told. The count of messages.
    pub fn empty_mailbox(&mut self, address: Address) -> u64 {
        let mailbox = self.mailboxes.get(&address);
        let entries = mailbox.into_iter().flat_map(Mailbox::iter);
        let sequences: Vec<_> = entries.map(|entry| entry.sequence).collect();
        let mut count = 0;
        for sequence in sequences {
            let Some(removed) = self.erase(&address, sequence) else {
                continue;
            };
            let entry = removed.entry;
            count += 1;
            if let Some(peer) = self.online.get(&address)
                && let Some(peer) = self.peers.get_mut(peer)
            {
                peer.answered(&entry.id);
            }
            self.add_notice(&address, NoticeKind::ReceivedExpired, entry.sender, 1);
            if removed.is_durable() {
                self.add_notice(&entry.sender, NoticeKind::SentExpired, address, 1);
            }
            // Its recipient may have it: nothing final is said of it.
            self.reject_waiting(removed, Reason::MailboxFull, RETRY_FULL_S);
        }
        count
    }

    fn summary(&self, address: Address, now: Now) -> MailboxSummary {
        let mailbox = self.mailboxes.get(&address);
        let stored_s = mailbox.and_then(|mailbox| {
            let oldest = mailbox.after(0)?;
            let record = match mailbox.fresh(oldest.sequence) {
                Some(fresh) => Arc::clone(&fresh.record),
                None => self.ledger.read(&Key::Message(oldest.arrival)).ok()??,
            };
            Some(MessageHeader::parse(&record).ok()?.stored_on_clock_s)
        });
        let clock_s = self.clock.expiry_s(now);
        MailboxSummary {
            address,
            messages: mailbox.map_or(0, Mailbox::messages),
            bytes: mailbox.map_or(0, Mailbox::bytes),
            oldest_s: stored_s.map_or(0, |stored_s| clock_s.saturating_sub(stored_s)),
            is_connected: self.online.contains_key(&address),
        }
    }
}
