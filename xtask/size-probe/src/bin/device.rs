//! What a device links: every operation of link and end-to-end encryption.
#![no_std]
#![no_main]

use core::hint::black_box;

use hushwire_core::wire::{bundle, envelope};
use size_probe::{identity, wire};

size_probe::entry!(everything);

size_probe::facts! {
    message_overhead = envelope::OVERHEAD;
    session_start_overhead = envelope::OVERHEAD + envelope::START_LEN;
    bundle = bundle::len(1);
}

fn everything() {
    black_box(identity::exercise());
    black_box(wire::exercise());
}
