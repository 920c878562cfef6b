//! Messages that waited too long.

use std::ops::ControlFlow;

use hushwire_core::wire::answer::NoticeKind;

use super::Relay;
use crate::clock::Now;
use crate::store::record::MessageHeader;
use crate::store::{Key, Table};

/// Expired messages that are looked at in one tick.
const EXPIRE_AT_ONCE: usize = 1_000;
/// Rows of no mailbox that are passed over, and deleted, in search of the oldest message.
const PASSED_OVER: usize = 256;

impl Relay {
    /// How long the oldest message waits, on the clock that expires it; 0 where none does. When the
    /// first rows are of no mailbox, what waits behind them is left for the next tick.
    ///
    /// Such a row is about to be deleted, or it is of a commit that the disk took and said that it had
    /// not: its sender was told that it is not accepted. Either way it goes.
    pub(super) fn oldest_message_s(&mut self, now: Now) -> u64 {
        let clock_s = self.clock.expiry_s(now);
        let (mut age_s, mut strays) = (0, Vec::new());
        let store = self.ledger.store();
        let walked = store.walk(Table::Messages, 0, &mut |arrival, row| {
            let Ok(header) = MessageHeader::parse(row) else {
                return ControlFlow::Break(());
            };
            let before = header.sequence.saturating_sub(1);
            let entry = self
                .mailboxes
                .get(&header.to)
                .and_then(|of| of.after(before));
            if entry.is_some_and(|entry| entry.sequence == header.sequence) {
                age_s = clock_s.saturating_sub(header.stored_on_clock_s);
                return ControlFlow::Break(());
            }
            strays.push(arrival);
            match strays.len() < PASSED_OVER {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the oldest message is not known");
        }
        // Deletions that fail are kept: they would gather, the same ones each second.
        if self.ledger.works() {
            let messages = strays.into_iter().map(Key::Message);
            messages.for_each(|row| self.ledger.delete(row));
        }
        age_s
    }

    /// Removes what has waited for too long. Rows are in order of arrival, and so of expiry.
    pub(super) fn expire(&mut self, now: Now) {
        let clock_s = self.clock.expiry_s(now);
        let Some(deadline_s) = clock_s.checked_sub(self.limits.expiry.as_secs()) else {
            return;
        };
        let mut expired = Vec::new();
        let walked = self.ledger.store().walk(Table::Messages, 0, &mut |_, row| {
            match MessageHeader::parse(row) {
                Ok(header) if header.stored_on_clock_s <= deadline_s => {
                    expired.push(header);
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

        for header in expired {
            // A row of no mailbox: see above.
            let Some(removed) = self.erase(&header.to, header.sequence) else {
                continue;
            };
            self.tally.expired += 1;
            if let Some(conn) = self.online.get(&header.to).copied() {
                if let Some(peer) = self.peers.get_mut(&conn) {
                    peer.answered(&removed.entry.id);
                }
                self.pump(conn);
            }
            self.add_notice(&header.sender, NoticeKind::SentExpired, header.to, 1);
            self.add_notice(&header.to, NoticeKind::ReceivedExpired, header.sender, 1);
        }
    }
}
