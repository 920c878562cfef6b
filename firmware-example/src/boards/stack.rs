//! How deep the stack was: `cortex-m-rt` paints it at the start, and what is still painted was never
//! used.

use cortex_m_rt::STACK_PAINT_VALUE;
use hushwire_firmware::board::Stack;

unsafe extern "C" {
    /// The stack's first byte and the one behind its last: the linker script's.
    static _stack_end: u32;
    static _stack_start: u32;
}

/// The deepest use since the start. Takes a few thousand cycles.
pub(crate) fn used() -> Stack {
    let (end, start) = (&raw const _stack_end, &raw const _stack_start);
    let words = (start.addr() - end.addr()) / 4;
    let untouched = (0..words)
        // SAFETY: RAM between the linker's two marks; nobody writes below the stack pointer, and
        // what lies above it is only read, as numbers.
        .take_while(|word| unsafe { end.add(*word).read_volatile() } == STACK_PAINT_VALUE)
        .count();
    Stack {
        most: 4 * (words - untouched) as u32,
        size: 4 * words as u32,
    }
}
