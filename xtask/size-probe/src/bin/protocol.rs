//! Every operation of link and end-to-end encryption, each called as itself.
#![no_std]
#![no_main]

use core::hint::black_box;

use hushwire_core::crypto::Software;
use hushwire_core::limits::{DEVICE_MAX_SKIP, HOST_MAX_SKIP};
use hushwire_core::link::{self as noise, Opener, Sealer};
use hushwire_core::session::Session;
use hushwire_core::wire::{bundle, envelope};
use size_probe::{identity, link, session, wire};

size_probe::entry!(everything);

size_probe::facts! {
    ram_per_session_with_device_skip = size_of::<Session<DEVICE_MAX_SKIP>>();
    ram_per_session_with_host_skip = size_of::<Session<HOST_MAX_SKIP>>();
    stored_session_with_device_skip = Session::<DEVICE_MAX_SKIP>::MAX_ENCODED;
    ram_per_link = size_of::<Sealer>() + size_of::<Opener>();
    link_handshake_sent = noise::FLIGHT_1_LEN + noise::FLIGHT_3_LEN;
    link_handshake_received = noise::FLIGHT_2_LEN;
    link_record_overhead = noise::HEAD_ROOM + noise::TAIL_ROOM;
    message_overhead = envelope::OVERHEAD;
    session_start_overhead = envelope::OVERHEAD + envelope::START_LEN;
    bundle = bundle::len(1);
}

fn everything() {
    black_box(identity::exercise(Software));
    black_box(wire::exercise());
    black_box(session::exercise(Software));
    black_box(link::exercise(Software));
}
