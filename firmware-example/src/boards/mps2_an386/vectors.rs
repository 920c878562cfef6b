//! The interrupts' part of the vector table: as far as this board uses it. The runtime's own table has
//! 240 entries.

use super::Interrupt;

unsafe extern "C" {
    /// The runtime's: asks the processor which one it is.
    fn DefaultHandler();
}

const USED: usize = Interrupt::Ethernet as usize + 1;

// SAFETY: the section and the name that cortex-m-rt gives the table where its feature `device` is on;
// each entry is a handler.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); USED] = [DefaultHandler; USED];
