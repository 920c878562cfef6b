//! The image that is subtracted: entry and panic handler, nothing else.
#![no_std]
#![no_main]

size_probe::entry!(nothing);

fn nothing() {
    if core::hint::black_box(false) {
        panic!();
    }
}
