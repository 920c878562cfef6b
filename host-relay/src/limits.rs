//! Every bound of the relay: its default, its unit, and what it protects.

use std::time::Duration;

use hushwire_core::limits::MAX_ENVELOPE;

/// The largest frame: an envelope in a DELIVER frame (opcode, sequence, time, sender), rounded up.
pub const MAX_FRAME: usize = MAX_ENVELOPE + 64;

/// What is kept of a message beside its envelope takes about so many bytes, in memory and on the disk:
/// without it the smallest ones would cost nothing.
pub const BESIDE: u64 = 256;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Who shows an invitation, or was added by the operator.
    Invite,
    /// Who was added by the operator.
    Closed,
}

/// All limits. `Default` gives the values that the command line documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages that a mailbox holds. One that is acked out of order moves those behind it: some
    /// thousands at most.
    pub mailbox_messages: u32,
    /// Bytes that a mailbox holds, envelopes only.
    pub mailbox_bytes: u64,
    /// One sender holds at most this part of a mailbox: 4 is a quarter.
    pub sender_share: u32,
    /// How long a message waits, counted while the relay runs (`clock.rs`).
    pub expiry: Duration,
    /// How much of a stop counts towards expiry.
    pub longest_stop: Duration,
    /// Bytes of all stored envelopes together, and [`BESIDE`] for each.
    pub store_bytes: u64,
    /// Bytes of the store's file: no new messages where it would outgrow them.
    pub disk_bytes: u64,
    /// Who may register.
    pub registration: Registration,
    /// Registered identities.
    pub accounts: u64,
    /// Contacts on one identity's list.
    pub contacts: u32,
    /// Nicknames of one identity.
    pub names: u32,
    /// One-time prekeys of one identity.
    pub prekeys: u32,
    /// Bytes of a bundle.
    pub bundle_bytes: u32,
    /// Different notices that wait for one identity; further ones are added up without their peer.
    pub notices: u32,
    /// Acknowledged envelopes that are remembered, so that a repeated submit is no second message.
    pub remembered_acks: u32,

    /// Milliseconds that a message waits in memory for the ack of a recipient who is there, before
    /// the disk gets it. An ack in time spares the disk; `accepted` waits for either. 0: at once.
    pub ack_wait_ms: u32,
    /// Unacknowledged deliveries on one connection, whatever the client asks for.
    pub window: u16,
    /// Bytes of unacknowledged deliveries on one connection; one message always goes.
    pub window_bytes: u32,
    /// The largest link record taken, ciphertext and tag.
    pub max_record: u16,
    /// Open connections; further ones are closed at once.
    pub connections: u32,
    /// Open connections of one network address (one /64 of IPv6); 0 for no bound of its own.
    pub connections_per_ip: u32,
    /// Connections of one network address in a second, and at once; 0 for no bound.
    pub handshakes_per_ip_per_second: u32,
    /// From the connection's begin to the end of the link handshake.
    pub handshake_timeout: Duration,
    /// A connection that is silent for this long is closed; clients ping.
    pub idle_timeout: Duration,
    /// A write, of 64 KiB at most, that is not through after this long closes the connection.
    pub write_timeout: Duration,
    /// Frames that wait for one connection; a reader too slow for it is disconnected.
    pub outbox_frames: u32,
    /// Bytes that wait for one connection or are being written, beside those that the window bounds.
    pub outbox_bytes: u32,
    /// From the signal to the end, whatever clients do.
    pub stop_timeout: Duration,

    /// Submits of one identity: a second, sustained.
    pub submit_rate: u32,
    /// Submits of one identity at once.
    pub submit_burst: u32,
    /// Other requests of one identity: a second, sustained.
    pub request_rate: u32,
    /// Other requests of one identity at once.
    pub request_burst: u32,
    /// One-time prekeys of one target for one requester at once.
    pub prekey_burst: u32,
    /// After these, one more each.
    pub prekey_interval: Duration,
}

/// Bytes of a mailbox that one sender may fill at least: a short message with what is around it.
const LEAST_SHARE: u64 = 1024;

/// The longest span: sums of times stay far from what clocks can count.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

impl Limits {
    /// What of these cannot work, if anything: names as on the command line.
    pub(crate) fn impossible(&self) -> Option<String> {
        let spans = [
            ("expiry", self.expiry, 1),
            ("longest-stop", self.longest_stop, 0),
            ("handshake-timeout", self.handshake_timeout, 1),
            ("idle-timeout", self.idle_timeout, 1),
            ("write-timeout", self.write_timeout, 1),
            ("stop-timeout", self.stop_timeout, 0),
            ("prekey-interval", self.prekey_interval, 1),
        ];
        for (name, span, least_s) in spans {
            if span > LONGEST || span.as_secs() < least_s {
                return Some(format!("--{name} must be from {least_s}s to 3650d"));
            }
        }
        let numbers = [
            (
                "mailbox-messages",
                u64::from(self.mailbox_messages),
                1,
                1 << 20,
            ),
            ("accounts", self.accounts, 1, u64::MAX),
            // Clients upload a hundred at a time.
            ("prekeys", u64::from(self.prekeys), 100, u64::MAX),
            ("store-bytes", self.store_bytes, 1 << 20, u64::MAX),
            ("bundle-bytes", u64::from(self.bundle_bytes), 256, 1 << 16),
            ("outbox-frames", u64::from(self.outbox_frames), 8, 1 << 20),
            // The largest answer has to fit.
            (
                "outbox-bytes",
                u64::from(self.outbox_bytes),
                1 << 17,
                1 << 30,
            ),
            (
                "remembered-acks",
                u64::from(self.remembered_acks),
                1,
                1 << 26,
            ),
            ("ack-wait-ms", u64::from(self.ack_wait_ms), 0, 60_000),
            ("submit-rate", u64::from(self.submit_rate), 1, u64::MAX),
            ("submit-burst", u64::from(self.submit_burst), 1, u64::MAX),
            ("request-rate", u64::from(self.request_rate), 1, u64::MAX),
            ("request-burst", u64::from(self.request_burst), 1, u64::MAX),
        ];
        // Less, and nobody could send anything.
        let share = self.mailbox_bytes / u64::from(self.sender_share.max(1));
        if share < LEAST_SHARE {
            return Some(format!(
                "--mailbox-bytes must be at least {LEAST_SHARE} times --sender-share: that is one sender's part"
            ));
        }
        for (name, number, least, most) in numbers {
            if number < least {
                return Some(format!("--{name} must be at least {least}"));
            }
            if number > most {
                return Some(format!("--{name} must be at most {most}"));
            }
        }
        None
    }
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            mailbox_messages: 128,
            mailbox_bytes: 1024 * 1024,
            sender_share: 4,
            expiry: Duration::from_secs(21 * DAY),
            longest_stop: Duration::from_secs(DAY),
            store_bytes: 8 * 1024 * 1024 * 1024,
            disk_bytes: 32 * 1024 * 1024 * 1024,
            registration: Registration::Open,
            accounts: 1_000_000,
            contacts: 512,
            names: 4,
            prekeys: 128,
            bundle_bytes: 4096,
            notices: 256,
            remembered_acks: 100_000,
            // Beyond any round trip in a town, and little beside what a person waits for.
            ack_wait_ms: 50,
            window: 64,
            window_bytes: 256 * 1024,
            max_record: 32_768,
            connections: 10_000,
            // Behind a proxy or a shared address everybody comes from one place.
            connections_per_ip: 0,
            handshakes_per_ip_per_second: 0,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(20),
            // All that a burst of submits is answered with, when one commit makes it durable, and a window.
            outbox_frames: 2_500,
            outbox_bytes: 128 * 1024,
            stop_timeout: Duration::from_secs(4),
            submit_rate: 500,
            submit_burst: 2000,
            request_rate: 20,
            request_burst: 200,
            prekey_burst: 3,
            prekey_interval: Duration::from_secs(3600),
        }
    }
}
