//! How deep the stack went: everything below it is painted before, and looked at after.
#![allow(unsafe_code, reason = "the unused part of the stack belongs to nobody")]

use cortex_m::register::msp;

const PAINT: u32 = 0xc5c5_5c5c;

unsafe extern "C" {
    /// End of the statics: the run-time crate's linker script says where.
    static mut __sheap: u32;
}

/// Lowest word of the stack's room.
fn floor() -> *mut u32 {
    &raw mut __sheap
}

/// The stack pointer, in the caller's frame.
#[inline(always)]
pub(crate) fn pointer() -> u32 {
    msp::read()
}

/// Paints all words below this function's own frame.
#[inline(never)]
pub(crate) fn paint() {
    let mut at = floor();
    while (at as u32) < pointer() {
        // SAFETY: the word lies in RAM, above the statics and below the stack pointer, and no
        // interrupt is enabled that could use it.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_add(1);
    }
}

/// Bytes from `top` down to the lowest word that was written to since.
#[inline(never)]
pub(crate) fn depth(top: u32) -> u32 {
    let mut at = floor();
    // SAFETY: as in `paint`; words between the paint and `top` are frames of ours.
    while (at as u32) < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    top - at as u32
}
