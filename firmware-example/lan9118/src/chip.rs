//! The controller itself: its start, its interrupts, and the MAC behind it.

use crate::registers::{self as reg, Registers};

/// Polls before a chip that does not answer counts as dead.
const PATIENCE: u32 = 100_000;

/// Registers of the MAC, behind [`reg::MAC_CSR_CMD`].
pub(crate) mod mac {
    pub(crate) const CR: u32 = 1;
    pub(crate) const ADDRH: u32 = 2;
    pub(crate) const ADDRL: u32 = 3;
    pub(crate) const MII_ACC: u32 = 6;
    pub(crate) const MII_DATA: u32 = 7;

    pub(crate) const CR_RXEN: u32 = 1 << 2;
    pub(crate) const CR_TXEN: u32 = 1 << 3;
    pub(crate) const CR_FULL_DUPLEX: u32 = 1 << 20;
}

const BUSY: u32 = 1 << 31;
const READ: u32 = 1 << 30;

const SOFT_RESET: u32 = 1;
const MUST_BE_ONE: u32 = 1 << 20;
/// 5 KiB of transmit FIFO, 10.5 KiB of receive FIFO.
const TX_FIFO_SIZE: u32 = 5 << 16;
const READY: u32 = 1;
const TX_ON: u32 = 1 << 1;
const IRQ_ENABLE: u32 = 1 << 8;
const IRQ_ACTIVE_HIGH: u32 = 1 << 4;
const IRQ_PUSH_PULL: u32 = 1;
/// Room for the largest frame interrupts, in units of 64 bytes; so does the first received one.
const LEVELS: u32 = 24 << 24;

/// What interrupts: bits of [`reg::INT_STS`] and [`reg::INT_EN`].
pub(crate) mod int {
    /// A frame arrived.
    pub(crate) const RECEIVED: u32 = 1 << 3;
    /// The transmit FIFO has room.
    pub(crate) const ROOM: u32 = 1 << 9;
    /// The receive FIFO was read beyond its end: what stands there is no longer known.
    pub(crate) const RX_ERROR: u32 = 1 << 14;
    /// The PHY has something to say.
    pub(crate) const PHY: u32 = 1 << 18;
    /// The receiver has stopped.
    pub(crate) const RX_STOPPED: u32 = 1 << 24;
    /// All that the driver hears of.
    pub(crate) const HEARD: u32 = RECEIVED | ROOM | RX_ERROR | PHY;
}

/// Why the controller does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing answers, or not in this byte order.
    NoChip,
    /// It does not leave its reset.
    Reset,
    /// The MAC behind it, or the PHY behind that, does not answer.
    Mac,
}

/// A controller that was started.
#[derive(Debug)]
pub struct Chip<R> {
    pub(crate) registers: R,
    /// Bytes of the frame at the front of the receive FIFO, check sum included, once its status was
    /// taken.
    pub(crate) front: Option<u16>,
    /// The receive FIFO is out of step.
    pub(crate) is_lost: bool,
    /// The PHY has said something that nobody has looked at.
    pub(crate) link_is_news: bool,
    pub(crate) link_is_up: bool,
}

impl<R: Registers> Chip<R> {
    /// Resets the controller and starts it with this Ethernet address.
    ///
    /// # Errors
    /// [`Fault`]: the wiring or the part.
    pub fn start(registers: R, address: [u8; 6]) -> Result<Self, Fault> {
        let mut chip = Self {
            registers,
            front: None,
            is_lost: false,
            link_is_news: true,
            link_is_up: false,
        };
        // The data sheet wants a dummy read after power on.
        chip.registers.read(reg::BYTE_TEST);
        if chip.registers.read(reg::BYTE_TEST) != 0x8765_4321 {
            return Err(Fault::NoChip);
        }
        chip.registers.write(reg::HW_CFG, SOFT_RESET);
        chip.wait(reg::HW_CFG, SOFT_RESET, 0).ok_or(Fault::Reset)?;
        chip.wait(reg::PMT_CTRL, READY, READY).ok_or(Fault::Reset)?;
        // Until the serial memory was read, its address would overwrite ours.
        chip.wait(reg::E2P_CMD, BUSY, 0).ok_or(Fault::Reset)?;
        chip.registers
            .write(reg::HW_CFG, MUST_BE_ONE | TX_FIFO_SIZE);
        chip.registers.write(reg::INT_EN, 0);
        chip.registers.write(reg::INT_STS, u32::MAX);
        chip.registers.write(reg::FIFO_INT, LEVELS);
        chip.registers.write(reg::RX_CFG, 0);

        let [a, b, c, d, e, f] = address;
        chip.mac_write(mac::ADDRL, u32::from_le_bytes([a, b, c, d]))?;
        chip.mac_write(mac::ADDRH, u32::from_le_bytes([e, f, 0, 0]))?;
        chip.registers.write(reg::TX_CFG, TX_ON);
        chip.start_phy()?;
        chip.mac_write(mac::CR, mac::CR_TXEN | mac::CR_RXEN | mac::CR_FULL_DUPLEX)?;
        chip.registers
            .write(reg::IRQ_CFG, IRQ_ENABLE | IRQ_ACTIVE_HIGH | IRQ_PUSH_PULL);
        chip.listen(int::RECEIVED | int::RX_ERROR | int::PHY);
        Ok(chip)
    }

    /// Chip and revision, as it says.
    pub fn id(&mut self) -> u32 {
        self.registers.read(reg::ID_REV)
    }

    /// Says what happened since the last call, and quiets what was said: the interrupt handler's
    /// part. What was quieted is not heard again before [`Self::listen`].
    pub(crate) fn interrupted(&mut self) -> u32 {
        let enabled = self.registers.read(reg::INT_EN);
        let happened = self.registers.read(reg::INT_STS) & enabled & int::HEARD;
        // Levels would interrupt for ever: they are asked for again when somebody waits for them.
        self.registers.write(reg::INT_EN, enabled & !happened);
        self.registers.write(reg::INT_STS, happened);
        self.is_lost |= happened & int::RX_ERROR != 0;
        self.link_is_news |= happened & int::PHY != 0;
        happened
    }

    /// Asks for interrupts.
    pub(crate) fn listen(&mut self, which: u32) {
        self.registers.write(reg::INT_STS, which);
        let enabled = self.registers.read(reg::INT_EN);
        self.registers.write(reg::INT_EN, enabled | which);
    }

    pub(crate) fn mac_write(&mut self, register: u32, value: u32) -> Result<(), Fault> {
        self.wait(reg::MAC_CSR_CMD, BUSY, 0).ok_or(Fault::Mac)?;
        self.registers.write(reg::MAC_CSR_DATA, value);
        self.registers.write(reg::MAC_CSR_CMD, BUSY | register);
        self.wait(reg::MAC_CSR_CMD, BUSY, 0).ok_or(Fault::Mac)
    }

    pub(crate) fn mac_read(&mut self, register: u32) -> Result<u32, Fault> {
        self.wait(reg::MAC_CSR_CMD, BUSY, 0).ok_or(Fault::Mac)?;
        self.registers
            .write(reg::MAC_CSR_CMD, BUSY | READ | register);
        self.wait(reg::MAC_CSR_CMD, BUSY, 0).ok_or(Fault::Mac)?;
        Ok(self.registers.read(reg::MAC_CSR_DATA))
    }

    /// Polls a register until the masked bits have the value; `None` when patience ends.
    pub(crate) fn wait(&mut self, register: usize, mask: u32, value: u32) -> Option<()> {
        (0..PATIENCE)
            .any(|_| self.registers.read(register) & mask == value)
            .then_some(())
    }
}
