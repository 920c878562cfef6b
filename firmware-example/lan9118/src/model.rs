//! A controller in memory: FIFOs, MAC registers, and its ways of failing.

use std::collections::VecDeque;
use std::vec::Vec;

use crate::chip::{Chip, Fault};
use crate::registers::{self as reg, Registers};

/// Bytes of the transmit FIFO.
const TX_FIFO: usize = 4608;

/// How a model fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fails {
    #[default]
    Never,
    NoChip,
    StuckInReset,
    StuckMac,
    /// Says that frames wait for ever, and gives nothing but errors.
    Lies,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) fails: Fails,
    pub(crate) arrived: VecDeque<(u32, Vec<u8>)>,
    words: VecDeque<u32>,
    outgoing: Vec<u32>,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) unread_status: usize,
    pub(crate) tx_used: usize,
    mac: [u32; 16],
    mac_data: u32,
    int_en: u32,
    pub(crate) int_sts: u32,
    pub(crate) skipped: usize,
}

impl Model {
    pub(crate) fn arrives(&mut self, frame: &[u8], damaged: bool) {
        let mut bytes = frame.to_vec();
        bytes.extend([0xcc; 4]);
        let status = (bytes.len() as u32) << 16 | u32::from(damaged) << 15;
        self.arrived.push_back((status, bytes));
        self.int_sts |= 1 << 3;
    }
}

impl Registers for &mut Model {
    fn read(&mut self, offset: usize) -> u32 {
        match offset {
            reg::BYTE_TEST if self.fails == Fails::NoChip => 0,
            reg::BYTE_TEST => 0x8765_4321,
            reg::HW_CFG => u32::from(self.fails == Fails::StuckInReset),
            reg::PMT_CTRL => 1,
            reg::RX_FIFO_INF if self.fails == Fails::Lies => 255 << 16,
            reg::RX_FIFO_INF => (self.arrived.len() as u32) << 16,
            reg::RX_STATUS_FIFO => {
                let Some((status, bytes)) = self.arrived.pop_front() else {
                    return 0x3fff_8000;
                };
                assert!(self.words.is_empty(), "words of the frame before are left");
                for chunk in bytes.chunks(4) {
                    let mut word = [0; 4];
                    word[..chunk.len()].copy_from_slice(chunk);
                    self.words.push_back(u32::from_le_bytes(word));
                }
                status
            }
            reg::RX_DATA_FIFO => self
                .words
                .pop_front()
                .expect("the FIFO is read beyond its end"),
            reg::TX_FIFO_INF => (self.unread_status as u32) << 16 | (TX_FIFO - self.tx_used) as u32,
            reg::TX_STATUS_FIFO => {
                self.unread_status -= 1;
                0
            }
            reg::MAC_CSR_CMD if self.fails == Fails::StuckMac => 1 << 31,
            reg::MAC_CSR_DATA => self.mac_data,
            reg::INT_EN => self.int_en,
            reg::INT_STS => self.int_sts,
            _ => 0,
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        match offset {
            reg::TX_DATA_FIFO => {
                self.outgoing.push(value);
                let len = (self.outgoing[0] & 0x7ff) as usize;
                if self.outgoing.len() == 2 + len.div_ceil(4) {
                    assert_eq!(
                        self.outgoing[0] >> 12 & 3,
                        3,
                        "first and last of one buffer"
                    );
                    assert_eq!(self.outgoing[1] as usize & 0x7ff, len);
                    let words = self.outgoing[2..].iter().flat_map(|w| w.to_le_bytes());
                    self.sent.push(words.take(len).collect());
                    self.outgoing.clear();
                    self.unread_status += 1;
                }
            }
            reg::RX_DP_CTRL => {
                self.words.clear();
                self.skipped += 1;
            }
            reg::MAC_CSR_DATA => self.mac_data = value,
            reg::MAC_CSR_CMD => {
                let register = (value & 0xf) as usize;
                if value & 1 << 30 == 0 {
                    self.mac[register] = self.mac_data;
                } else {
                    self.mac_data = self.mac[register];
                }
            }
            reg::INT_EN => self.int_en = value,
            reg::INT_STS => self.int_sts &= !value,
            _ => {}
        }
    }
}

const ADDRESS: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

fn noise(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 8
}

#[test]
fn frames_of_every_length_come_and_go_whole() {
    let mut model = Model::default();
    let mut seed = 1;
    let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
    assert_eq!(chip.mac_read(3), Ok(0x3322_1102));
    assert_eq!(chip.mac_read(2), Ok(0x5544));
    let mut frame = [0; 1514];
    for len in 1..=1514 {
        let bytes: Vec<u8> = (0..len).map(|_| noise(&mut seed) as u8).collect();
        let mut model = Model::default();
        model.arrives(&bytes, false);
        let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
        assert_eq!(chip.receive(&mut frame), Some(len));
        assert_eq!(frame[..len], bytes);
        assert_eq!(chip.receive(&mut frame), None);
        assert!(chip.has_room(len));
        chip.send(&bytes);
        assert_eq!(model.sent, [bytes]);
    }
}

#[test]
fn damaged_and_overlong_frames_are_skipped_whole() {
    let mut model = Model::default();
    model.arrives(&[1; 100], true);
    model.arrives(&[2; 1600], false);
    model.arrives(&[3; 2], true);
    model.arrives(&[4; 60], false);
    let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
    let mut frame = [0; 1514];
    assert_eq!(chip.receive(&mut frame), Some(60));
    assert_eq!(frame[..60], [4; 60]);
    assert_eq!(model.skipped, 2, "the short one is read, word by word");
}

#[test]
fn no_room_is_seen_and_old_status_is_drained() {
    let mut model = Model {
        tx_used: 4000,
        unread_status: 3,
        ..Model::default()
    };
    let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
    assert!(!chip.has_room(1514));
    assert!(chip.has_room(600));
    chip.send(&[9; 60]);
    assert_eq!(model.unread_status, 1, "only the new one is left");
}

#[test]
fn a_controller_that_does_not_answer_gives_an_error() {
    for (fails, fault) in [
        (Fails::NoChip, Fault::NoChip),
        (Fails::StuckInReset, Fault::Reset),
        (Fails::StuckMac, Fault::Mac),
    ] {
        let mut model = Model {
            fails,
            ..Model::default()
        };
        assert_eq!(Chip::start(&mut model, ADDRESS).err(), Some(fault));
    }
}

#[test]
fn a_controller_that_lies_gives_no_frame_and_no_hang() {
    let mut model = Model {
        fails: Fails::Lies,
        ..Model::default()
    };
    let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
    assert_eq!(chip.receive(&mut [0; 1514]), None);
}

#[test]
fn an_interrupt_is_quiet_until_it_is_asked_for_again() {
    let mut model = Model::default();
    let mut chip = Chip::start(&mut model, ADDRESS).unwrap();
    assert_eq!(chip.interrupted(), 0);
    model.arrives(&[1; 60], false);
    model.int_en = 1 << 3;
    let mut chip = Chip::resumed(&mut model);
    assert_eq!(chip.interrupted(), 1 << 3);
    assert_eq!(chip.interrupted(), 0);
    chip.listen(1 << 3);
    model.arrives(&[1; 60], false);
    assert_eq!(Chip::resumed(&mut model).interrupted(), 1 << 3);
}
