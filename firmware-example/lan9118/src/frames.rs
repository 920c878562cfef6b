//! Frames in and frames out.

use crate::chip::{Chip, int, mac};
use crate::registers::{self as reg, Registers};

/// Longest frame without its check sum, in bytes.
pub const MAX_FRAME: usize = 1514;

/// Shortest: a header.
const MIN_FRAME: usize = 14;
/// The check sum behind each received frame.
const CRC: usize = 4;
/// The MAC cuts off what is longer: a status that says more is not one.
const LONGEST: usize = 2048;
/// Two command words stand before each sent frame.
const COMMANDS: usize = 8;
/// Bad frames that are skipped at one look; then others have their turn.
const SKIPPED_AT_ONCE: u8 = 8;

const STATUS_ERROR: u32 = 1 << 15;
const FIRST: u32 = 1 << 13;
const LAST: u32 = 1 << 12;
const RX_DUMP: u32 = 1 << 15;

impl<R: Registers> Chip<R> {
    /// The length of the frame at the front, without its check sum. Frames that arrived damaged, or
    /// are longer than [`MAX_FRAME`], are skipped.
    pub fn front(&mut self) -> Option<usize> {
        if self.is_lost {
            self.restart_receiver();
        }
        if let Some(len) = self.front {
            return Some(usize::from(len) - CRC);
        }
        for _ in 0..SKIPPED_AT_ONCE {
            if !self.has_status() {
                return None;
            }
            let status = self.registers.read(reg::RX_STATUS_FIFO);
            let len = (status >> 16 & 0x3fff) as u16;
            if usize::from(len) > LONGEST {
                self.restart_receiver();
                return None;
            }
            let fits = (MIN_FRAME + CRC..=MAX_FRAME + CRC).contains(&usize::from(len));
            if fits && status & STATUS_ERROR == 0 {
                self.front = Some(len);
                return Some(usize::from(len) - CRC);
            }
            self.take_words(usize::from(len).div_ceil(4));
        }
        None
    }

    /// Takes the frame at the front out of the FIFO; `frame` is as long as [`Self::front`] said.
    /// Nothing at the front leaves `frame` as it is.
    pub fn take(&mut self, frame: &mut [u8]) {
        let Some(len) = self.front.take() else {
            return;
        };
        let mut words = usize::from(len).div_ceil(4);
        for chunk in frame.chunks_mut(4).take(words) {
            let bytes = self.registers.read(reg::RX_DATA_FIFO).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
            words -= 1;
        }
        self.take_words(words);
    }

    /// The chip's fast way to skip a frame is not used: QEMU 7.2 loses its place by it.
    fn take_words(&mut self, words: usize) {
        for _ in 0..words {
            self.registers.read(reg::RX_DATA_FIFO);
        }
    }

    /// Whether a frame waits, good or bad.
    pub fn has_frame(&mut self) -> bool {
        self.front.is_some() || self.has_status()
    }

    fn has_status(&mut self) -> bool {
        self.registers.read(reg::RX_FIFO_INF) >> 16 & 0xff > 0
    }

    /// Stops the receiver, empties both of its FIFOs, starts it: the only way back into step.
    fn restart_receiver(&mut self) {
        self.is_lost = false;
        self.front = None;
        // A MAC that does not answer gives no frames, either.
        let Ok(control) = self.mac_read(mac::CR) else {
            return;
        };
        self.registers.write(reg::INT_STS, int::RX_STOPPED);
        let _ = self.mac_write(mac::CR, control & !mac::CR_RXEN);
        let _ = self.wait(reg::INT_STS, int::RX_STOPPED, int::RX_STOPPED);
        self.registers.write(reg::RX_CFG, RX_DUMP);
        let _ = self.wait(reg::RX_CFG, RX_DUMP, 0);
        self.registers.write(reg::RX_CFG, 0);
        let _ = self.mac_write(mac::CR, control | mac::CR_RXEN);
        self.listen(int::RX_ERROR);
    }

    /// Whether a frame of `len` bytes can be sent at once.
    pub fn has_room(&mut self, len: usize) -> bool {
        let free = (self.registers.read(reg::TX_FIFO_INF) & 0xffff) as usize;
        free >= len.next_multiple_of(4) + COMMANDS
    }

    /// Sends a frame of at most [`MAX_FRAME`] bytes, for which there is room.
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
}
