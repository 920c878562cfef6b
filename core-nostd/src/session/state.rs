//! A session as bytes, for a sealed record. PROTOCOL 8.2
//!
//! Kept keys are written in steps of 32, so that a device's record has one size and a host's few.

use core::num::NonZeroU32;

use super::{ID_LEN, OPENING_LEN, Receiving, Session, StartTag};
use crate::{
    crypto::{KeyPair, PublicKey, SecretKey, kdf::Direction},
    ratchet::{
        chain::{ChainKey, ReceivingChain, SendingChain},
        header::HeaderKey,
        root::RootKey,
        skipped::Skipped,
    },
    wire::{Reader, WireError, Writer},
};

/// Version of this encoding.
const FORMAT: u8 = 0x01;
/// Kept keys are padded to a multiple of this.
const STEP: usize = 32;
const KEPT_LEN: usize = 32 + 4 + 1;
const FIXED_LEN: usize =
    1 + 1 + ID_LEN + StartTag::LEN + 1 + 4 + 2 + 32 + PublicKey::LEN + 32 + 4 + 32;
const SENDING_LEN: usize = 1 + 32 + 32 + 32 + PublicKey::LEN + 4;
const NOTHING_LEN: usize = 1 + OPENING_LEN;
const CHAIN_LEN: usize = 32 + 32 + 4 + 64 + 2;

/// A record does not decode: damaged, or of another build. The session is lost, the identity is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateError;

impl core::fmt::Display for StateError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a stored session does not decode")
    }
}

impl core::error::Error for StateError {}

impl From<WireError> for StateError {
    fn from(_: WireError) -> Self {
        Self
    }
}

/// How exact a snapshot is about the sending chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The reserved bound: what every record holds while messages may still leave.
    Reserved,
    /// The exact number: only for an orderly stop, after which nothing is sealed.
    Exact,
}

impl<const SKIP: usize> Session<SKIP> {
    /// Most bytes that [`Self::encode`] writes.
    pub const MAX_ENCODED: usize =
        FIXED_LEN + SENDING_LEN + NOTHING_LEN + CHAIN_LEN + SKIP.next_multiple_of(STEP) * KEPT_LEN;

    /// Writes the session and returns its length. After the record is committed, call
    /// [`Self::stored`].
    ///
    /// # Errors
    /// [`StateError`] where the buffer is smaller than [`Self::MAX_ENCODED`].
    pub fn encode(&mut self, position: Position, buffer: &mut [u8]) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        w.u8(FORMAT)?;
        w.u8(self.direction.byte())?;
        w.put(&self.id)?;
        w.put(&self.start.0)?;
        w.u8(u8::from(self.confirmed))?;
        w.u32(self.spent_prekey().unwrap_or(0))?;
        w.u16(self.max_body)?;
        w.put(self.root.bytes())?;
        w.put(self.peer.bytes())?;
        w.put(self.next_sending_header.bytes())?;
        w.u32(self.previous)?;
        w.put(self.next_receiving_header.bytes())?;
        Self::encode_sending(&mut self.sending, position, &mut w)?;
        Self::encode_receiving(&self.receiving, &mut w)?;
        Ok(w.len())
    }

    fn encode_sending(
        sending: &mut Option<SendingChain>,
        position: Position,
        w: &mut Writer<'_>,
    ) -> Result<(), WireError> {
        let Some(chain) = sending else {
            return w.put(&[0; SENDING_LEN]);
        };
        let at = chain.write_position(position);
        // Storage never holds the key of a message that was sent: the chain is written where the
        // reservation ends.
        let key = chain.key.advanced(at.saturating_sub(chain.n));
        w.u8(1)?;
        w.put(key.bytes())?;
        w.put(chain.header.bytes())?;
        w.put(chain.pair.secret().expose())?;
        w.put(chain.pair.public().bytes())?;
        w.u32(at)
    }

    fn encode_receiving(receiving: &Receiving<SKIP>, w: &mut Writer<'_>) -> Result<(), WireError> {
        match receiving {
            Receiving::Nothing { opening } => {
                w.u8(if opening.is_some() { 1 } else { 0 })?;
                w.put(opening.as_ref().unwrap_or(&[0; OPENING_LEN]))
            }
            Receiving::Chain { chain, skipped } => {
                w.u8(2)?;
                w.put(chain.key.bytes())?;
                w.put(chain.header.bytes())?;
                w.u32(chain.n)?;
                skipped
                    .headers
                    .iter()
                    .try_for_each(|key| w.put(key.bytes()))?;
                let kept = skipped.len();
                w.u16(u16::try_from(kept).map_err(|_| WireError::Length)?)?;
                let slots = skipped
                    .chains
                    .iter()
                    .zip(&skipped.numbers)
                    .zip(&skipped.keys);
                for ((chain, n), key) in slots.filter(|((chain, _), _)| **chain != 0) {
                    w.u8(*chain)?;
                    w.u32(*n)?;
                    w.put(key)?;
                }
                for _ in kept..kept.next_multiple_of(STEP).max(STEP) {
                    w.put(&[0; KEPT_LEN])?;
                }
                Ok(())
            }
        }
    }

    /// Reads a session back. Its sending chain stands at the reserved position: the first seal
    /// reserves anew.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(StateError);
        }
        let direction = match r.u8()? {
            0x01 => Direction::FromInitiator,
            0x02 => Direction::FromResponder,
            _ => return Err(StateError),
        };
        let (id, start) = (*r.array()?, StartTag(*r.array()?));
        let confirmed = flag(r.u8()?)?;
        let session = Self {
            direction,
            id,
            start,
            confirmed,
            one_time_prekey: NonZeroU32::new(r.u32()?),
            max_body: r.u16()?,
            root: RootKey::new(*r.array()?),
            peer: PublicKey::checked(*r.array()?),
            next_sending_header: HeaderKey::new(*r.array()?),
            previous: r.u32()?,
            next_receiving_header: HeaderKey::new(*r.array()?),
            sending: Self::decode_sending(&mut r)?,
            receiving: Self::decode_receiving(&mut r)?,
        };
        r.finish()?;
        Ok(session)
    }

    fn decode_sending(r: &mut Reader<'_>) -> Result<Option<SendingChain>, StateError> {
        let present = flag(r.u8()?)?;
        let (key, header) = (ChainKey::new(*r.array()?), HeaderKey::new(*r.array()?));
        let secret = SecretKey::new(*r.array()?);
        let pair = KeyPair::from_parts(secret, PublicKey::checked(*r.array()?));
        let n = r.u32()?;
        let chain = SendingChain {
            key,
            header,
            pair,
            n,
            reserved: n,
            written: n,
        };
        Ok(present.then_some(chain))
    }

    fn decode_receiving(r: &mut Reader<'_>) -> Result<Receiving<SKIP>, StateError> {
        match r.u8()? {
            tag @ (0 | 1) => {
                let opening = *r.array()?;
                Ok(Receiving::Nothing {
                    opening: (tag == 1).then_some(opening),
                })
            }
            2 => {
                let (key, header) = (ChainKey::new(*r.array()?), HeaderKey::new(*r.array()?));
                let chain = ReceivingChain {
                    key,
                    header,
                    n: r.u32()?,
                };
                let mut skipped = Skipped::new();
                skipped.headers = [HeaderKey::new(*r.array()?), HeaderKey::new(*r.array()?)];
                let kept = usize::from(r.u16()?);
                if kept > SKIP {
                    return Err(StateError);
                }
                let places = skipped
                    .chains
                    .iter_mut()
                    .zip(&mut skipped.numbers)
                    .zip(&mut skipped.keys);
                for ((chain, n), key) in places.take(kept) {
                    *chain = r.u8()?;
                    *n = r.u32()?;
                    *key = *r.array()?;
                    if !(1..=3).contains(chain) {
                        return Err(StateError);
                    }
                }
                let padding = kept.next_multiple_of(STEP).max(STEP).saturating_sub(kept);
                r.slice(padding.saturating_mul(KEPT_LEN))?;
                Ok(Receiving::Chain { chain, skipped })
            }
            _ => Err(StateError),
        }
    }
}

const fn flag(byte: u8) -> Result<bool, StateError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(StateError),
    }
}
