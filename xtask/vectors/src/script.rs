//! Randomness out of a fixed script, remembered in the order in which it was drawn.

use crate::primitives::{Pair, sha256};

/// A generator that gives the same bytes every time: never for anything but vectors.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    name: String,
    drawn: Vec<u8>,
    draws: u8,
}

impl Script {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            drawn: Vec::new(),
            draws: 0,
        }
    }

    /// The next bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.draws += 1;
        let text = format!("hushwire vectors: {}, draw {}", self.name, self.draws);
        let bytes: [u8; N] = sha256(text.as_bytes())[..N].try_into().unwrap();
        self.drawn.extend_from_slice(&bytes);
        bytes
    }

    /// A key pair. PROTOCOL 1.3
    pub(crate) fn pair(&mut self) -> Pair {
        loop {
            if let Some(pair) = Pair::new(self.draw()) {
                return pair;
            }
        }
    }

    /// Everything that was drawn.
    pub(crate) fn drawn(&self) -> &[u8] {
        &self.drawn
    }
}
