//! The controller's own procedures: start, one frame in, one frame out.

use crate::registers::{self as reg, Registers};

/// Polls before a chip that does not answer counts as dead.
const PATIENCE: u32 = 100_000;

/// Registers of the MAC, behind [`reg::MAC_CSR_CMD`].
mod mac {
    pub(super) const CR: u32 = 1;
    pub(super) const ADDRH: u32 = 2;
    pub(super) const ADDRL: u32 = 3;

    pub(super) const CR_RXEN: u32 = 1 << 2;
    pub(super) const CR_TXEN: u32 = 1 << 3;
    pub(super) const CR_FULL_DUPLEX: u32 = 1 << 20;

    pub(super) const BUSY: u32 = 1 << 31;
    pub(super) const READ: u32 = 1 << 30;
}

const SOFT_RESET: u32 = 1;
const MUST_BE_ONE: u32 = 1 << 20;
/// 5 KiB of transmit FIFO, 10.5 KiB of receive FIFO.
const TX_FIFO_SIZE: u32 = 5 << 16;
const READY: u32 = 1;
const TX_ON: u32 = 1 << 1;
const IRQ_ENABLE: u32 = 1 << 8;
const IRQ_ACTIVE_HIGH: u32 = 1 << 4;
const IRQ_PUSH_PULL: u32 = 1;
const FAST_FORWARD: u32 = 1 << 31;

/// Interrupts: a frame arrived, the transmit FIFO has room, the receiver dropped or stopped.
pub(crate) const INT_RECEIVED: u32 = 1 << 3;
pub(crate) const INT_ROOM: u32 = 1 << 9;
pub(crate) const INT_RX_STOPPED: u32 = 1 << 24;
const ALL: u32 = u32::MAX;

const STATUS_ERROR: u32 = 1 << 15;
const FIRST: u32 = 1 << 13;
const LAST: u32 = 1 << 12;
/// The check sum behind each received frame.
const CRC: usize = 4;
/// Two command words stand before each sent frame.
const COMMANDS: usize = 8;

/// Why the controller does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing answers, or not in this byte order.
    NoChip,
    /// It does not leave its reset.
    Reset,
    /// The MAC behind it does not answer.
    Mac,
}

/// A controller that was started.
#[derive(Debug)]
pub struct Chip<R> {
    registers: R,
}

impl<R: Registers> Chip<R> {
    /// Resets the controller and starts it with this Ethernet address.
    ///
    /// # Errors
    /// [`Fault`]: the wiring or the part.
    pub fn start(registers: R, address: [u8; 6]) -> Result<Self, Fault> {
        let mut chip = Self { registers };
        // The data sheet wants a dummy read after power on.
        chip.registers.read(reg::BYTE_TEST);
        if chip.registers.read(reg::BYTE_TEST) != 0x8765_4321 {
            return Err(Fault::NoChip);
        }
        chip.registers.write(reg::HW_CFG, SOFT_RESET);
        chip.wait(reg::HW_CFG, SOFT_RESET, 0).ok_or(Fault::Reset)?;
        chip.wait(reg::PMT_CTRL, READY, READY).ok_or(Fault::Reset)?;
        chip.registers
            .write(reg::HW_CFG, MUST_BE_ONE | TX_FIFO_SIZE);
        chip.registers.write(reg::INT_EN, 0);
        chip.registers.write(reg::INT_STS, ALL);
        // The first frame interrupts; so does room for the largest one.
        chip.registers.write(reg::FIFO_INT, 24 << 24);
        chip.registers.write(reg::RX_CFG, 0);

        let [a, b, c, d, e, f] = address;
        chip.mac_write(mac::ADDRL, u32::from_le_bytes([a, b, c, d]))?;
        chip.mac_write(mac::ADDRH, u32::from_le_bytes([e, f, 0, 0]))?;
        chip.registers.write(reg::TX_CFG, TX_ON);
        chip.mac_write(mac::CR, mac::CR_TXEN | mac::CR_RXEN | mac::CR_FULL_DUPLEX)?;
        chip.registers
            .write(reg::IRQ_CFG, IRQ_ENABLE | IRQ_ACTIVE_HIGH | IRQ_PUSH_PULL);
        chip.registers.write(reg::INT_EN, INT_RECEIVED);
        Ok(chip)
    }

    /// A controller that was started before.
    #[cfg(test)]
    pub(crate) const fn resumed(registers: R) -> Self {
        Self { registers }
    }

    /// Chip and revision, as it says.
    pub fn id(&mut self) -> u32 {
        self.registers.read(reg::ID_REV)
    }

    /// Takes the frame at the front out of the FIFO, into `frame`; returns its length. Frames that
    /// arrived damaged, or are longer than `frame`, are skipped.
    pub fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        // As many as the status FIFO holds at most: a lying chip does not keep us here.
        for _ in 0..=u8::MAX {
            let waiting = self.registers.read(reg::RX_FIFO_INF) >> 16 & 0xff;
            if waiting == 0 {
                return None;
            }
            let status = self.registers.read(reg::RX_STATUS_FIFO);
            let len = (status >> 16 & 0x3fff) as usize;
            let good = status & STATUS_ERROR == 0 && len > CRC && len - CRC <= frame.len();
            if !good {
                self.skip(len);
                continue;
            }
            let mut words = len.div_ceil(4);
            for chunk in frame[..len - CRC].chunks_mut(4) {
                let bytes = self.registers.read(reg::RX_DATA_FIFO).to_le_bytes();
                chunk.copy_from_slice(&bytes[..chunk.len()]);
                words -= 1;
            }
            for _ in 0..words {
                self.registers.read(reg::RX_DATA_FIFO);
            }
            return Some(len - CRC);
        }
        None
    }

    fn skip(&mut self, len: usize) {
        let words = len.div_ceil(4);
        // The data sheet allows the fast way for four words and more.
        if words >= 4 {
            self.registers.write(reg::RX_DP_CTRL, FAST_FORWARD);
            let _ = self.wait(reg::RX_DP_CTRL, FAST_FORWARD, 0);
        } else {
            for _ in 0..words {
                self.registers.read(reg::RX_DATA_FIFO);
            }
        }
    }

    /// Whether a frame is there.
    pub fn has_frame(&mut self) -> bool {
        self.registers.read(reg::RX_FIFO_INF) >> 16 & 0xff > 0
    }

    /// Whether a frame of `len` bytes can be sent at once.
    pub fn has_room(&mut self, len: usize) -> bool {
        let free = (self.registers.read(reg::TX_FIFO_INF) & 0xffff) as usize;
        free >= len.next_multiple_of(4) + COMMANDS
    }

    /// Sends a frame, for which there is room.
    pub fn send(&mut self, frame: &[u8]) {
        self.drain_status();
        let len = frame.len() as u32 & 0x7ff;
        self.registers.write(reg::TX_DATA_FIFO, FIRST | LAST | len);
        self.registers.write(reg::TX_DATA_FIFO, len);
        for chunk in frame.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.registers
                .write(reg::TX_DATA_FIFO, u32::from_le_bytes(word));
        }
    }

    /// Nobody reads how frames fared (TCP notices); a full status FIFO would stop the sender.
    fn drain_status(&mut self) {
        for _ in 0..=u8::MAX {
            if self.registers.read(reg::TX_FIFO_INF) >> 16 & 0xff == 0 {
                return;
            }
            self.registers.read(reg::TX_STATUS_FIFO);
        }
    }

    /// Says what happened since the last call, and quiets what was said: the interrupt handler's
    /// part. A condition that lasts is not asked for again before [`Self::listen`].
    pub(crate) fn interrupted(&mut self) -> u32 {
        let enabled = self.registers.read(reg::INT_EN);
        let happened = self.registers.read(reg::INT_STS) & enabled;
        // Levels would interrupt for ever: they are asked for again when somebody waits for them.
        self.registers.write(reg::INT_EN, enabled & !happened);
        self.registers.write(reg::INT_STS, happened);
        happened
    }

    /// Asks for interrupts.
    pub(crate) fn listen(&mut self, which: u32) {
        self.registers.write(reg::INT_STS, which);
        let enabled = self.registers.read(reg::INT_EN);
        self.registers.write(reg::INT_EN, enabled | which);
    }

    fn mac_write(&mut self, register: u32, value: u32) -> Result<(), Fault> {
        self.wait(reg::MAC_CSR_CMD, mac::BUSY, 0)
            .ok_or(Fault::Mac)?;
        self.registers.write(reg::MAC_CSR_DATA, value);
        self.registers.write(reg::MAC_CSR_CMD, mac::BUSY | register);
        self.wait(reg::MAC_CSR_CMD, mac::BUSY, 0).ok_or(Fault::Mac)
    }

    /// Reads a register of the MAC.
    ///
    /// # Errors
    /// [`Fault::Mac`] where it does not answer.
    pub fn mac_read(&mut self, register: u32) -> Result<u32, Fault> {
        self.wait(reg::MAC_CSR_CMD, mac::BUSY, 0)
            .ok_or(Fault::Mac)?;
        self.registers
            .write(reg::MAC_CSR_CMD, mac::BUSY | mac::READ | register);
        self.wait(reg::MAC_CSR_CMD, mac::BUSY, 0)
            .ok_or(Fault::Mac)?;
        Ok(self.registers.read(reg::MAC_CSR_DATA))
    }

    fn wait(&mut self, register: usize, mask: u32, value: u32) -> Option<()> {
        (0..PATIENCE)
            .any(|_| self.registers.read(register) & mask == value)
            .then_some(())
    }
}
