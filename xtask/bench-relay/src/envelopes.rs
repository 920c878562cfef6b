//! Envelopes that were made and hashed beforehand.

use hushwire_core::wire::EnvelopeId;

/// A relay remembers this many acknowledged envelopes, as the bench starts it: the same envelope to
/// the same recipient is a new message only when it is forgotten.
const REMEMBERED: usize = 100_000;

/// It remembers up to twice as many, and more while its disk is slow. So many of these come between an
/// envelope and the same one again.
const ROUNDS: usize = 12;

/// A ring of envelopes, the same for each recipient.
pub(crate) struct Envelopes(Vec<(EnvelopeId, Vec<u8>)>);

impl Envelopes {
    /// Enough of them for so many recipients at once.
    pub(crate) fn make(recipients: usize, len: usize) -> Self {
        let count = (ROUNDS * REMEMBERED / recipients).max(4096);
        let made = (0..count as u64).map(|number| {
            let mut bytes = vec![0x5a; len.max(8)];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            (EnvelopeId::of(&bytes), bytes)
        });
        Self(made.collect())
    }

    /// The id and the bytes of a recipient's message with this number.
    pub(crate) fn at(&self, number: u64) -> (EnvelopeId, &[u8]) {
        let (id, bytes) = &self.0[(number % self.0.len() as u64) as usize];
        (*id, bytes)
    }
}
