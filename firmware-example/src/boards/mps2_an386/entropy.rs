//! Noise from the host's own generator, or from one that fails on purpose.

use hushwire_firmware::board::{Entropy, NoEntropy};

use super::semihosting::{HostFile, Mode};

/// A source.
#[derive(Debug)]
pub(crate) enum HostEntropy {
    /// The host's.
    Good(HostFile),
    /// The same byte for ever.
    Stuck,
    /// The same few bytes, again and again.
    Repeating(u8),
    /// No answer.
    Failed,
}

impl HostEntropy {
    /// `good`, `stuck`, `repeat`; all else fails.
    pub(super) fn open(which: &str) -> Self {
        match which {
            "good" => HostFile::open("/dev/urandom", Mode::Read).map_or(Self::Failed, Self::Good),
            "stuck" => Self::Stuck,
            "repeat" => Self::Repeating(0),
            _ => Self::Failed,
        }
    }
}

impl Entropy for HostEntropy {
    fn fill(&mut self, noise: &mut [u8]) -> Result<(), NoEntropy> {
        match self {
            Self::Good(file) => file.read_on(noise).map_err(|_| NoEntropy),
            Self::Stuck => {
                noise.fill(0x5a);
                Ok(())
            }
            Self::Repeating(next) => {
                for byte in noise {
                    *byte = next.wrapping_mul(0x35);
                    *next = (*next + 1) % 4;
                }
                Ok(())
            }
            Self::Failed => Err(NoEntropy),
        }
    }
}
