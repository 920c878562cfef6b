//! What a device links: the link, and an endpoint over a storage.
#![no_std]
#![no_main]

use core::hint::black_box;

use hushwire_core::crypto::Software;
use hushwire_core::limits::DEVICE_MAX_SKIP;
use hushwire_core::peer::{Conversation, Peer};
use hushwire_core::prekey::Prekeys;
use size_probe::endpoint::{Device, ONE_TIME_PREKEYS};
use size_probe::{endpoint, link};

size_probe::entry!(everything);

size_probe::facts! {
    ram_of_the_endpoint_with_8_prekeys = size_of::<Device<Software>>();
    ram_per_contact_with_its_session = size_of::<Option<Peer<DEVICE_MAX_SKIP>>>();
    stored_contact_with_two_sessions = Conversation::<DEVICE_MAX_SKIP>::MAX_ENCODED;
    stored_8_prekeys = Prekeys::<ONE_TIME_PREKEYS>::MAX_ENCODED;
}

fn everything() {
    black_box(link::exercise(Software));
    black_box(endpoint::exercise(Software));
}
