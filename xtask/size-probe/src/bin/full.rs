//! The whole core: every public operation, on inputs that the compiler cannot see through.
#![no_std]
#![no_main]

size_probe::entry!(everything);

size_probe::facts! {
    pointer_bytes = size_of::<usize>();
}

fn everything() {
    hushwire_core_is_linked();
}

fn hushwire_core_is_linked() {
    use hushwire_core as _;
}
