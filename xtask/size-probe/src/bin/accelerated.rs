//! What a device links whose chip does the curve: an endpoint without software P-256.
#![no_std]
#![no_main]

use core::hint::black_box;

use size_probe::curve::Accelerator;
use size_probe::{endpoint, link};

size_probe::entry!(everything);

fn everything() {
    black_box(link::exercise(Accelerator));
    black_box(endpoint::exercise(Accelerator));
}
