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
