//! The same operations, and the forms that people read and type.
#![no_std]
#![no_main]

use core::hint::black_box;

use hushwire_core::crypto::Software;
use size_probe::{identity, link, session, text, wire};

size_probe::entry!(everything);

fn everything() {
    black_box(identity::exercise(Software));
    black_box(wire::exercise());
    black_box(session::exercise(Software));
    black_box(link::exercise(Software));
    black_box(text::exercise());
}
