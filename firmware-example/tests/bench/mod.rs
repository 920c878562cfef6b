//! A board on the host: flash in RAM, noise that falls sick on demand, a lamp that can be looked at.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "each test takes what it needs of the bench"
)]

mod flash;
mod life;
mod noise;

pub use flash::RamFlash;
pub use life::{Board, Running};
pub use noise::{Noise, Trouble};

use std::{cell::Cell, rc::Rc};

use hushwire_firmware::board::{Keeper, Lamp, Panel};

/// Keeps the key in RAM, or fails to.
#[derive(Debug, Default)]
pub struct RamKeeper {
    pub key: Option<[u8; 32]>,
    pub anchor: Option<u64>,
    pub fails: bool,
}

impl Keeper for RamKeeper {
    fn key(&mut self) -> Option<[u8; 32]> {
        self.key
    }

    fn keep(&mut self, key: &[u8; 32]) -> bool {
        if !self.fails {
            self.key = Some(*key);
        }
        !self.fails
    }

    fn forget(&mut self) {
        self.key = None;
    }

    fn anchor(&mut self) -> Option<u64> {
        self.anchor
    }

    fn raise(&mut self, to: u64) {
        self.anchor = self.anchor.map(|now| now.max(to));
    }
}

/// A panel whose lamp can be looked at.
#[derive(Debug, Default, Clone)]
pub struct TestPanel {
    pub lamp: Rc<Cell<bool>>,
    pub readings: Rc<Cell<i32>>,
}

impl Panel for TestPanel {
    const UNIT: &'static str = "mC";

    fn lamp(&mut self, lamp: Lamp) {
        self.lamp.set(lamp == Lamp::On);
    }

    fn read(&mut self) -> Option<i32> {
        self.readings.set(self.readings.get() + 1);
        Some(21_000)
    }

    fn is_held(&mut self) -> bool {
        false
    }

    fn guard(&mut self, _seconds: u8) {}

    fn feed(&mut self) {}

    fn restart(&mut self) -> ! {
        panic!("restart")
    }
}
