//! The operations of link and end-to-end encryption for a chip that does the curve.
#![no_std]
#![no_main]

use core::hint::black_box;

use size_probe::curve::Accelerator;
use size_probe::{identity, link, session, wire};

size_probe::entry!(everything);

fn everything() {
    black_box(identity::exercise(Accelerator));
    black_box(wire::exercise());
    black_box(session::exercise(Accelerator));
    black_box(link::exercise(Accelerator));
}
