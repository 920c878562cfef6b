//! Messages that waited too long.

use std::ops::ControlFlow;

use hushwire_core::wire::answer::NoticeKind;

use super::Relay;
use crate::clock::Now;
use crate::store::Table;
use crate::store::record::MessageHeader;

/// Expired messages that are looked at in one tick.
const EXPIRE_AT_ONCE: usize = 1_000;
/// Rows whose deletion is on its way that are passed over in search of the oldest message.
const PASSED_OVER: usize = 256;

impl Relay {
    /// How long the oldest message waits, on the clock that expires it; 0 where none does. When the
    /// first rows are all about to go, what waits behind them is left for the next tick.
    pub(super) fn oldest_message_s(&self, now: Now) -> u64 {
        let clock_s = self.clock.expiry_s(now);
        let (mut age_s, mut passed) = (0, 0);
        let store = self.ledger.store();
        let walked = store.walk(Table::Messages, 0, &mut |_, row| {
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
            passed += 1;
            match passed < PASSED_OVER {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if let Err(error) = walked {
            tracing::error!(%error, "the oldest message is not known");
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
            // A row whose deletion is on its way is in the store and no longer in the mailbox.
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
