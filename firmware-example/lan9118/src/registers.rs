//! The chip's registers: names as in the LAN9118 data sheet, section 5.3.

use core::ptr::NonNull;

/// Received frames, word by word.
pub const RX_DATA_FIFO: usize = 0x00;
/// Frames to send, word by word.
pub const TX_DATA_FIFO: usize = 0x20;
/// One word for each received frame.
pub const RX_STATUS_FIFO: usize = 0x40;
/// One word for each sent frame.
pub const TX_STATUS_FIFO: usize = 0x48;
/// Chip and revision.
pub const ID_REV: usize = 0x50;
/// How the interrupt pin behaves.
pub const IRQ_CFG: usize = 0x54;
/// What has happened; a written one clears.
pub const INT_STS: usize = 0x58;
/// What interrupts.
pub const INT_EN: usize = 0x5c;
/// Reads 0x8765_4321 in the right byte order.
pub const BYTE_TEST: usize = 0x64;
/// Levels at which the FIFOs interrupt.
pub const FIFO_INT: usize = 0x68;
/// Reception.
pub const RX_CFG: usize = 0x6c;
/// Transmission.
pub const TX_CFG: usize = 0x70;
/// Reset and FIFO sizes.
pub const HW_CFG: usize = 0x74;
/// How full the receive FIFOs are.
pub const RX_FIFO_INF: usize = 0x7c;
/// How free the transmit FIFO is.
pub const TX_FIFO_INF: usize = 0x80;
/// Power; bit 0 says ready.
pub const PMT_CTRL: usize = 0x84;
/// Command for a register of the MAC.
pub const MAC_CSR_CMD: usize = 0xa4;
/// Its value.
pub const MAC_CSR_DATA: usize = 0xa8;
/// The serial memory's controller, which may hold an address of the board's maker.
pub const E2P_CMD: usize = 0xb0;

/// Access to the chip's registers, 32 bits each, by their offset in bytes.
///
/// A read of a FIFO takes a word out of it.
pub trait Registers {
    /// Reads one.
    fn read(&mut self, offset: usize) -> u32;
    /// Writes one.
    fn write(&mut self, offset: usize, value: u32);
}

/// The registers in memory.
#[derive(Debug)]
pub struct Mmio(NonNull<u32>);

// SAFETY: the pointer names a device, not memory of a thread; whoever owns the value owns the chip.
unsafe impl Send for Mmio {}

impl Mmio {
    /// Takes the chip at an address.
    ///
    /// # Safety
    /// A LAN9118 or its like answers at `base` for 256 bytes, `base` is a multiple of four, and
    /// nothing else uses it.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u32>) -> Self {
        Self(base)
    }
}

impl Registers for Mmio {
    fn read(&mut self, offset: usize) -> u32 {
        debug_assert!(offset < 0x100);
        // SAFETY: `new` was promised 256 bytes of registers here; offsets of this crate are below.
        unsafe { self.0.byte_add(offset).read_volatile() }
    }

    fn write(&mut self, offset: usize, value: u32) {
        debug_assert!(offset < 0x100);
        // SAFETY: as in `read`.
        unsafe { self.0.byte_add(offset).write_volatile(value) }
    }
}
