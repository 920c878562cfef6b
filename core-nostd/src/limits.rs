//! Every bound of the protocol: its reason, its unit, and the RAM that it costs.

use crate::{identity::Address, wire::envelope};

/// Steps that a receiving chain may be moved forward for one message, after its header
/// authenticated. Bounds the work of a skip: 1024 HMACs. Costs no RAM.
pub const MAX_JUMP: u32 = 1024;

/// Messages that a sending chain may use before its position is written again: what a reboot skips
/// at most. Costs no RAM; each reboot costs a peer up to this many kept keys.
pub const RESERVE: u32 = 8;

/// Kept keys of a device's session: 37 bytes of RAM each.
pub const DEVICE_MAX_SKIP: usize = 32;

/// Kept keys of a host's session: 37 bytes of RAM each.
pub const HOST_MAX_SKIP: usize = 512;

/// Bytes of user data in the largest message that every party takes.
pub const BASE_BODY: usize = 1024;

/// Bytes of user data in the largest message of hosts that offer it.
pub const MAX_BODY: usize = 16_384;

/// Bytes of the largest envelope: the largest message with everything around it.
pub const MAX_ENVELOPE: usize = 16_384 + 512;

/// Sizes of user data on the wire, in bytes: everything else is padded up to the next one.
pub const BUCKETS: [usize; 10] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, MAX_BODY];

/// Unopenable deliveries hinted at one contact after which a conversation starts anew.
pub const UNOPENED_BEFORE_RESTART: u8 = 4;

/// Milliseconds between two restarts with one contact.
pub const RESTART_INTERVAL_MS: u64 = 60 * 60 * 1000;

/// Envelopes refused by a contact's device, as the relay tells it, after which this side starts
/// anew: its session is of no use there.
pub const REFUSED_BEFORE_RESTART: u8 = 2;

/// Milliseconds after which an accepted message without receipt is sealed again, times the number of
/// its attempts: 3 days. A notice of the relay or a word of the peer makes it earlier.
pub const RESEAL_MS: u64 = 3 * 24 * 60 * 60 * 1000;

/// Milliseconds without any sign of life after which an accepted message is sealed again in a new
/// session: 7 days.
pub const SILENCE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Milliseconds after which an accepted message without receipt is sealed again when a later one was
/// receipted: it was probably lost.
pub const OVERTAKEN_MS: u64 = 60 * 1000;

/// Milliseconds after which a submission that the relay did not answer is sealed again.
pub const ANSWER_MS: u64 = 60 * 1000;

/// Milliseconds of the first pause after a passing refusal; each further one doubles it, up to an
/// hour. Short: a full share is often emptied by a recipient that is just reading.
pub const BACK_OFF_MS: u64 = 1000;

/// Milliseconds between two sets of one-time prekeys: the one handed out lives one set longer.
pub const REFILL_INTERVAL_MS: u64 = 60 * 60 * 1000;

/// Milliseconds before a peer without bundle is asked for again.
pub const NO_BUNDLE_MS: u64 = 10 * 60 * 1000;

/// Times that an accepted message is sealed without a receipt before it is reported as failed.
pub const MAX_ATTEMPTS: u8 = 32;

/// Acks and notices that wait on a host to be told to its relays: 32 bytes of RAM each, and 112 for
/// the submissions and fetches of which there may be as many.
pub const HOST_QUEUE: usize = 64;

/// The same on a device, whose delivery window is 1.
pub const DEVICE_QUEUE: usize = 4;

/// Submissions whose answer is out, over all links, where the queue is no shorter.
pub const MAX_IN_FLIGHT: usize = 32;

/// Bundles that are asked for at once, over all links, where the queue is no shorter.
pub const MAX_FETCHES: usize = 8;

/// Links that an endpoint drives at once: 40 bytes of RAM each.
pub const MAX_LINKS: usize = 8;

/// Deliveries that a client may have open at once on one link, at most.
pub const MAX_WINDOW: usize = 16;

/// Starts without a one-time prekey that are remembered for each contact: 8 bytes of RAM each.
pub const REPLAY_MEMORY: usize = 16;

/// Running time after which the signed prekey changes, in milliseconds: 7 days.
pub const SIGNED_PREKEY_PERIOD_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Starts of the device after which the signed prekey changes.
pub const SIGNED_PREKEY_STARTS: u16 = 100;

/// Bytes of the smallest "largest frame" that a side of a link may state: a delivery of a session
/// start with [`BASE_BODY`] bytes of user data. Every party takes that message (its bundle says so),
/// so a link that cannot carry it would leave it in the mailbox for ever. A device's buffer for one
/// such record is 20 bytes more.
pub const MIN_LINK_FRAME: u16 = 1313;

/// A relay that claims to hold a bundle of ours with a counter from here on lies: no life of a device
/// is that long, and one who believed it could be left without a counter to rise to.
pub const UNBELIEVABLE_COUNTER: u64 = 1 << 63;

/// Unlike suites that a bundle may offer.
pub const MAX_SUITES: usize = 4;

const _: () = {
    // opcode ‖ sequence ‖ stored at ‖ sender ‖ envelope
    const DELIVERY: usize = 1 + 8 + 8 + Address::LEN + envelope::START_LEN + envelope::OVERHEAD;
    assert!(
        MIN_LINK_FRAME as usize == DELIVERY + BASE_BODY,
        "the smallest link carries the message that every party takes"
    );
    assert!(
        RESERVE < MAX_JUMP,
        "a reboot must never cost a conversation"
    );
    assert!(
        BUCKETS[5] == BASE_BODY,
        "every party's largest message is a bucket"
    );
    assert!(
        MAX_ENVELOPE - MAX_BODY >= 300,
        "an envelope is more than its body"
    );
    assert!(
        (RESERVE as usize) < DEVICE_MAX_SKIP,
        "one reboot must not flush a device's kept keys"
    );
};
