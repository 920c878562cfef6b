//! Noise for tests: repeatable, and sick on demand.

use std::{cell::Cell, rc::Rc};

use chacha20::ChaCha20Rng;
use hushwire_firmware::board::{Entropy, NoEntropy};
use rand_core::{Rng as _, SeedableRng as _};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    Silent,
    Stuck,
    /// Goes round after so many bytes.
    Repeating(u16),
}

#[derive(Debug)]
pub struct Noise {
    rng: ChaCha20Rng,
    trouble: Rc<Cell<Trouble>>,
    at: u16,
}

impl Noise {
    pub fn new(seed: u64, trouble: Trouble) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            trouble: Rc::new(Cell::new(trouble)),
            at: 0,
        }
    }

    /// Makes it sick or well, wherever it is by now.
    pub fn handle(&self) -> Rc<Cell<Trouble>> {
        Rc::clone(&self.trouble)
    }
}

impl Entropy for Noise {
    fn fill(&mut self, noise: &mut [u8]) -> Result<(), NoEntropy> {
        match self.trouble.get() {
            Trouble::None => self.rng.fill_bytes(noise),
            Trouble::Silent => return Err(NoEntropy),
            Trouble::Stuck => noise.fill(0x5a),
            Trouble::Repeating(period) => {
                for byte in noise {
                    *byte = (u32::from(self.at).wrapping_mul(2_654_435_761) >> 24) as u8;
                    self.at = (self.at + 1) % period;
                }
            }
        }
        Ok(())
    }
}
