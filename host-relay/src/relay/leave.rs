//! An identity leaves, with all that is kept of it; and what becomes of it where the disk fails.

use hushwire_core::identity::Address;
use hushwire_core::wire::reason::Reason;

use super::{ConnId, Refusal, Relay, Standing};
use crate::ledger::Held;
use crate::mailbox::{Entry, Mailbox};
use crate::request::Reply;
use crate::store::Key;

impl Relay {
    /// Deletes everything that is kept of an identity: all of it, or nothing where the disk fails. Senders
    /// whose messages were not yet durable hear that they are not accepted, as they would a moment later.
    pub(super) fn leave(&mut self, conn: ConnId, address: Address) -> Result<Reply, Refusal> {
        let account = self.own_account(&address)?;
        for name in &account.names {
            self.ledger.delete(Key::Name(*name));
            self.offers.withdraw(*name);
        }
        for key in [Key::Bundle, Key::Prekeys, Key::Contacts] {
            self.ledger.delete(key(address));
        }
        self.ledger.delete_tied(Key::Notices(address));
        self.ledger.delete_account(&address);

        let mailbox = self.mailboxes.get(&address);
        let entries = mailbox.into_iter().flat_map(Mailbox::iter);
        let sequences: Vec<_> = entries.map(|entry| entry.sequence).collect();
        let mut mail = Vec::new();
        for sequence in sequences {
            let Some(removed) = self.forget(&address, sequence) else {
                continue;
            };
            let arrival = removed.entry.arrival;
            match removed.is_durable() {
                true => {
                    self.ledger.delete_tied(Key::Message(arrival));
                    mail.push(removed.entry);
                }
                false if removed.is_written() => self.ledger.delete_message(arrival),
                false => {}
            }
            self.reject_waiting(removed, Reason::NotAccepted, 0);
        }
        self.ledger.hold(Held::Leave { of: address, mail });
        let standing = self.access.standing(&address, false, &self.limits);
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.forget();
            peer.standing = standing.unwrap_or(Standing::Guest);
        }
        Ok(Reply::Done)
    }

    /// Leaving failed: the mailbox is as it was. A disk may have taken the commit all the same: then the
    /// account is gone, and what goes with it.
    pub(super) fn stay(&mut self, of: Address, mail: Vec<Entry>) {
        // What came since and waits for its ack in memory: entries stand in the order of their sequences.
        let mailbox = self.mailboxes.get(&of);
        let newer: Vec<_> = mailbox.into_iter().flat_map(Mailbox::unwritten).collect();
        for sequence in newer {
            self.message_is_lost(of, sequence);
        }
        let has_left = matches!(self.ledger.account(&of), Ok(None));
        for entry in mail.into_iter().filter(|_| !has_left) {
            self.stored_messages += 1;
            self.stored_bytes += u64::from(entry.len);
            self.mailboxes.entry(of).or_default().push(entry);
        }
        // Its connection has the standing of who is not registered: the client comes again.
        if let Some(conn) = self.online.get(&of) {
            self.close(*conn);
        }
    }
}
