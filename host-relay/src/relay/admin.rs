//! What the operator asks: figures, mailboxes, and one emptied.

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;

use super::{RETRY_FULL_S, Relay};
use crate::clock::Now;
use crate::mailbox::Mailbox;
use crate::store::StoreError;

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
    /// Seconds that the oldest waits, counted while the relay runs.
    pub oldest_s: u64,
    /// Whether its owner is connected.
    pub is_connected: bool,
}

impl Relay {
    /// The mailboxes with messages in them, the fullest first, at most 1,000.
    pub fn list_mailboxes(&self, now: Now) -> Vec<MailboxSummary> {
        let mut list: Vec<_> = self
            .mailboxes
            .keys()
            .map(|address| self.summary(*address, now))
            .collect();
        list.sort_unstable_by_key(|one| (std::cmp::Reverse(one.messages), one.address.0));
        list.truncate(LISTED);
        list
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
        // A sequence is the running clock at the time of its message.
        let oldest = mailbox.and_then(|mailbox| mailbox.after(0));
        let age_us = oldest.map_or(0, |oldest| {
            self.clock.running_us(now).saturating_sub(oldest.sequence)
        });
        MailboxSummary {
            address,
            messages: mailbox.map_or(0, Mailbox::messages),
            bytes: mailbox.map_or(0, Mailbox::bytes),
            oldest_s: age_us / 1_000_000,
            is_connected: self.online.contains_key(&address),
        }
    }
}
