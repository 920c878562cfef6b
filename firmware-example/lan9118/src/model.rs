//! A controller in memory: FIFOs of the real sizes, MAC, PHY, and its ways of failing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::vec::Vec;

use crate::registers::{self as reg, Registers};

/// Bytes of the transmit FIFO, words of the received frames, frames whose status is kept.
const TX_FIFO: usize = 4608;
const RX_FIFO: usize = 2640;
const RX_STATUS: usize = 176;

const RECEIVED: u32 = 1 << 3;
const RX_ERROR: u32 = 1 << 14;
const PHY: u32 = 1 << 18;
const RX_STOPPED: u32 = 1 << 24;

/// How a model fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fails {
    #[default]
    Never,
    NoChip,
    StuckInReset,
    StuckMac,
    StuckPhy,
    /// Says that frames wait for ever, and gives nothing but errors.
    Lies,
    /// Says that frames of a length wait that no frame has.
    Boasts,
    /// Never has room.
    Full,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) fails: Fails,
    words: VecDeque<u32>,
    status: VecDeque<u32>,
    outgoing: Vec<u32>,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) unread_status: usize,
    pub(crate) tx_used: usize,
    pub(crate) mac: [u32; 16],
    mac_data: u32,
    pub(crate) phy: [u32; 32],
    int_en: u32,
    int_sts: u32,
    rx_cfg: u32,
    /// Reads, which a bounded driver keeps few.
    pub(crate) reads: usize,
    /// Times that the receiver was emptied.
    pub(crate) dumps: usize,
    /// Frames that found no room.
    pub(crate) dropped: usize,
}

impl Model {
    pub(crate) fn new() -> RefCell<Self> {
        Self::failing(Fails::Never)
    }

    pub(crate) fn failing(fails: Fails) -> RefCell<Self> {
        let mut phy = [0; 32];
        phy[1] = 0x782d;
        phy[4] = 0x01e1;
        phy[5] = 0x45e1;
        RefCell::new(Self {
            fails,
            words: VecDeque::new(),
            status: VecDeque::new(),
            outgoing: Vec::new(),
            sent: Vec::new(),
            unread_status: 0,
            tx_used: 0,
            mac: [0; 16],
            mac_data: 0,
            phy,
            int_en: 0,
            int_sts: 0,
            rx_cfg: 0,
            reads: 0,
            dumps: 0,
            dropped: 0,
        })
    }

    /// A frame comes over the wire, with its check sum still to be added.
    pub(crate) fn arrives(&mut self, frame: &[u8], is_damaged: bool) {
        let mut bytes = frame.to_vec();
        bytes.extend([0xcc; 4]);
        let words = bytes.len().div_ceil(4);
        let is_off = self.mac[1] & 1 << 2 == 0;
        if is_off || self.status.len() == RX_STATUS || self.words.len() + words > RX_FIFO {
            self.dropped += 1;
            return;
        }
        for chunk in bytes.chunks(4) {
            let mut word = [0xee; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words.push_back(u32::from_le_bytes(word));
        }
        let status = (bytes.len() as u32) << 16 | u32::from(is_damaged) << 15;
        self.status.push_back(status);
        self.int_sts |= RECEIVED;
    }

    /// A word is lost between FIFO and driver: every later frame begins too late.
    pub(crate) fn slips(&mut self) {
        self.words.pop_front();
    }

    pub(crate) fn plug(&mut self, is_in: bool) {
        if is_in {
            self.phy[1] |= 0x24;
            self.phy[29] |= 0x40;
        } else {
            self.phy[1] &= !0x24;
            self.phy[29] |= 0x10;
        }
        if self.phy[29] & self.phy[30] != 0 {
            self.int_sts |= PHY;
        }
    }

    /// Whether the interrupt's line is up.
    pub(crate) fn interrupts(&self) -> bool {
        self.int_en & self.int_sts != 0
    }

    fn mac_write(&mut self, register: usize, value: u32) {
        if register == 1 && self.mac[1] & 1 << 2 != 0 && value & 1 << 2 == 0 {
            self.int_sts |= RX_STOPPED;
        }
        self.mac[register] = value;
        if register == 6 {
            let phy = (value >> 6 & 0x1f) as usize;
            assert_eq!(value >> 11 & 0x1f, 1, "the internal PHY's address");
            if value & 2 == 0 {
                self.mac[7] = self.phy[phy];
                if phy == 29 {
                    self.phy[29] = 0;
                }
            } else {
                self.phy[phy] = self.mac[7];
            }
            self.mac[6] = value & !1 | u32::from(self.fails == Fails::StuckPhy);
        }
    }
}

impl Registers for &RefCell<Model> {
    fn read(&mut self, offset: usize) -> u32 {
        let mut model = self.borrow_mut();
        model.reads += 1;
        match offset {
            reg::BYTE_TEST if model.fails == Fails::NoChip => 0,
            reg::BYTE_TEST => 0x8765_4321,
            reg::HW_CFG => u32::from(model.fails == Fails::StuckInReset),
            reg::PMT_CTRL => 1,
            reg::RX_CFG => model.rx_cfg,
            reg::RX_FIFO_INF if matches!(model.fails, Fails::Lies | Fails::Boasts) => 255 << 16,
            reg::RX_FIFO_INF => (model.status.len() as u32) << 16,
            reg::RX_STATUS_FIFO if model.fails == Fails::Lies => 60 << 16 | 1 << 15,
            reg::RX_STATUS_FIFO if model.fails == Fails::Boasts => 0x3fff << 16,
            reg::RX_STATUS_FIFO => model.status.pop_front().expect("a status is there"),
            reg::RX_DATA_FIFO => model.words.pop_front().unwrap_or_else(|| {
                model.int_sts |= RX_ERROR;
                0
            }),
            reg::TX_FIFO_INF if model.fails == Fails::Full => 0,
            reg::TX_FIFO_INF => {
                (model.unread_status as u32) << 16 | (TX_FIFO - model.tx_used) as u32
            }
            reg::TX_STATUS_FIFO => {
                model.unread_status -= 1;
                0
            }
            reg::MAC_CSR_CMD if model.fails == Fails::StuckMac => 1 << 31,
            reg::MAC_CSR_DATA => model.mac_data,
            reg::INT_EN => model.int_en,
            reg::INT_STS => model.int_sts,
            _ => 0,
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        let mut model = self.borrow_mut();
        match offset {
            reg::TX_DATA_FIFO => {
                model.outgoing.push(value);
                let len = (model.outgoing[0] & 0x7ff) as usize;
                if model.outgoing.len() == 2 + len.div_ceil(4) {
                    let ends = model.outgoing[0] >> 12 & 3;
                    assert_eq!(ends, 3, "first and last of one buffer");
                    assert_eq!(model.outgoing[1] as usize & 0x7ff, len);
                    let words = model.outgoing[2..].iter().flat_map(|w| w.to_le_bytes());
                    let frame = words.take(len).collect();
                    model.sent.push(frame);
                    model.outgoing.clear();
                    model.unread_status += 1;
                }
            }
            reg::RX_CFG => {
                model.rx_cfg = value & !(1 << 15);
                if value & 1 << 15 != 0 {
                    assert_eq!(model.mac[1] & 1 << 2, 0, "dumped while it receives");
                    model.words.clear();
                    model.status.clear();
                    model.dumps += 1;
                }
            }
            reg::MAC_CSR_DATA => model.mac_data = value,
            reg::MAC_CSR_CMD => {
                let register = (value & 0xf) as usize;
                if value & 1 << 30 == 0 {
                    let data = model.mac_data;
                    model.mac_write(register, data);
                } else {
                    model.mac_data = model.mac[register];
                }
            }
            reg::INT_EN => model.int_en = value,
            reg::INT_STS => model.int_sts &= !value,
            _ => {}
        }
    }
}
