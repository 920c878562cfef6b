//! Plain counts that the logic keeps and the metrics show.

use hushwire_core::wire::reason::Reason;

/// Every reason of a refusal, in the order of their numbers, with its name in the metrics.
pub const REASONS: [(Reason, &str); 14] = [
    (Reason::MailboxFull, "mailbox_full"),
    (Reason::ShareFull, "share_full"),
    (Reason::NotAccepted, "not_accepted"),
    (Reason::TooLarge, "too_large"),
    (Reason::RateLimited, "rate_limited"),
    (Reason::StoreTrouble, "store_trouble"),
    (Reason::Stopping, "stopping"),
    (Reason::Malformed, "malformed"),
    (Reason::NotFound, "not_found"),
    (Reason::NameTaken, "name_taken"),
    (Reason::CounterWentBack, "counter_went_back"),
    (Reason::NotYours, "not_yours"),
    (Reason::Barred, "barred"),
    (Reason::Invitation, "invitation"),
];

/// Fewer one-time prekeys than these are few. Owners upload new ones when a quarter of their set is
/// left, which of a device's 8 is 2: whoever has fewer than 3 stayed away, or has trouble.
pub const FEW_PREKEYS: u16 = 3;

/// Counts since the start, and a few states of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests taken.
    pub requests: u64,
    /// Messages taken over from senders, repeated ones aside.
    pub submitted: u64,
    /// `accepted` sent.
    pub accepted: u64,
    /// Deliveries sent.
    pub delivered: u64,
    /// Deliveries acknowledged.
    pub acknowledged: u64,
    /// Deliveries that recipients could not open.
    pub unopened: u64,
    /// Messages expired.
    pub expired: u64,
    /// One-time prekeys handed out.
    pub prekeys_handed_out: u64,
    /// Bundles that were fetched when their owner had no one-time prekey left.
    pub prekeys_exhausted: u64,
    /// Connections replaced by a newer one of the same identity.
    pub takeovers: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Refusals, by the reason's number less one.
    pub refused: [u64; REASONS.len()],

    /// Rows of the store that were found damaged, at the start or since.
    pub damaged_rows: u64,
    /// Clients connected now.
    pub connections: u64,
    /// Identities registered now.
    pub accounts: u64,
    /// Identities that have fewer than [`FEW_PREKEYS`] now, of those that came or were asked for
    /// since the start.
    pub prekeys_low: u64,
    /// Mailboxes with messages in them now.
    pub mailboxes: u64,
    /// Messages that wait now.
    pub stored_messages: u64,
    /// Bytes of envelopes that wait now.
    pub stored_bytes: u64,
    /// Bytes of the store's file now.
    pub store_file_bytes: u64,
    /// Whether the file has no room for a message and may not grow.
    pub store_is_full: bool,
    /// Servers of a cluster that should hold the newest batch, and do not or are gone.
    pub servers_behind: u64,
    /// Bytes that gather for the next commit.
    pub backlog_bytes: u64,
    /// Seconds that the oldest message waits, on the clock of expiry; 0 where none does.
    pub oldest_message_s: u64,
}

impl Tally {
    pub(crate) fn refuse(&mut self, reason: Reason) {
        if let Some(count) = self.refused.get_mut(reason as usize - 1) {
            *count += 1;
        }
    }
}
