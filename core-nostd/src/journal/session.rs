//! A session without padding: kept keys in order, absent parts absent.

use core::num::NonZeroU32;

use super::varint;
use crate::{
    crypto::{KeyPair, PublicKey, SecretKey, kdf::Direction},
    ratchet::{
        chain::{ChainKey, ReceivingChain, SendingChain},
        header::HeaderKey,
        root::RootKey,
        skipped::{Chain, Skipped},
    },
    session::{ID_LEN, OPENING_LEN, Position, Receiving, Session, StartTag, StateError},
    wire::{Reader, WireError, Writer},
};

const RESPONDER: u8 = 0x01;
const CONFIRMED: u8 = 0x02;
const SENDING: u8 = 0x04;
const OPENING: u8 = 0x08;
const CHAIN: u8 = 0x10;
const OLDER: u8 = 0x20;
const OLDEST: u8 = 0x40;

const FIXED_LEN: usize = 1 + ID_LEN + StartTag::LEN + 4 + 2 + 32 + PublicKey::LEN + 32 + 32 + 4;
const SENDING_LEN: usize = 3 * 32 + PublicKey::LEN + 4;
const CHAIN_LEN: usize = 2 * 32 + 4 + 2 * 32 + 2;
/// Chain, number (five bytes at most), key.
const KEPT_LEN: usize = 1 + 5 + 32;

impl<const SKIP: usize> Session<SKIP> {
    /// Most bytes of a session without padding.
    pub const MAX_COMPACT: usize =
        FIXED_LEN + SENDING_LEN + max(OPENING_LEN, CHAIN_LEN + SKIP * KEPT_LEN);

    pub(super) fn encode_compact(
        &mut self,
        position: Position,
        w: &mut Writer<'_>,
    ) -> Result<(), WireError> {
        let (mut flags, kept) = (0, KeptInOrder::of(&self.receiving));
        match &self.receiving {
            Receiving::Nothing { opening: None } => {}
            Receiving::Nothing { opening: Some(_) } => flags |= OPENING,
            Receiving::Chain { skipped, .. } => {
                flags |= CHAIN;
                for (chain, _) in skipped.older_headers() {
                    flags |= if chain == Chain::Older { OLDER } else { OLDEST };
                }
            }
        }
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        flags |= flag(self.direction == Direction::FromResponder, RESPONDER);
        flags |= flag(self.confirmed, CONFIRMED) | flag(self.sending.is_some(), SENDING);
        w.u8(flags)?;
        w.put(&self.id)?;
        w.put(&self.start.0)?;
        w.u32(self.spent_prekey().unwrap_or(0))?;
        w.u16(self.max_body)?;
        w.put(self.root.bytes())?;
        w.put(self.peer.bytes())?;
        w.put(self.next_sending_header.bytes())?;
        w.put(self.next_receiving_header.bytes())?;
        w.u32(self.previous)?;
        if let Some(chain) = &mut self.sending {
            let at = chain.write_position(position);
            // The chain is written where the reservation ends: PROTOCOL 8.2.
            w.put(chain.key.advanced(at.saturating_sub(chain.n)).bytes())?;
            w.put(chain.header.bytes())?;
            w.put(chain.pair.secret().expose())?;
            w.put(chain.pair.public().bytes())?;
            w.u32(at)?;
        }
        match &self.receiving {
            Receiving::Nothing { opening } => opening.as_ref().map_or(Ok(()), |bytes| w.put(bytes)),
            Receiving::Chain { chain, skipped } => {
                w.put(chain.key.bytes())?;
                w.put(chain.header.bytes())?;
                w.u32(chain.n)?;
                skipped
                    .older_headers()
                    .try_for_each(|(_, key)| w.put(key.bytes()))?;
                w.u16(u16::try_from(skipped.len()).map_err(|_| WireError::Length)?)?;
                kept.map_or(Ok(()), |mut kept| {
                    kept.try_for_each(|(chain, n, key)| {
                        w.u8(chain)?;
                        varint::put(w, u64::from(n))?;
                        w.put(key)
                    })
                })
            }
        }
    }

    /// Reads what is left of a record into `place`: a session is never moved on the stack, where a
    /// device has no room for two. After an error the place is empty.
    pub(super) fn decode_compact(
        place: &mut Option<Self>,
        r: &mut Reader<'_>,
    ) -> Result<(), StateError> {
        let decoded = Self::decode_parts(place, r);
        if decoded.is_err() {
            *place = None;
        }
        decoded
    }

    #[inline(never)]
    fn decode_parts(place: &mut Option<Self>, r: &mut Reader<'_>) -> Result<(), StateError> {
        let flags = r.u8()?;
        let has = |bit: u8| flags & bit != 0;
        if flags & 0x80 != 0 || (has(OPENING) && has(CHAIN)) || (!has(CHAIN) && has(OLDER | OLDEST))
        {
            return Err(StateError);
        }
        let fixed: &[u8; FIXED_LEN - 1] = r.array()?;
        Self::decode_fixed(place, flags, fixed)?;
        let session = place.as_mut().ok_or(StateError)?;
        if has(SENDING) {
            session.sending = Some(decode_sending(r)?);
        }
        if has(OPENING) {
            session.receiving = Receiving::Nothing {
                opening: Some(*r.array()?),
            };
        }
        if has(CHAIN) {
            decode_chain(&mut session.receiving, r, has(OLDER), has(OLDEST))?;
        }
        r.finish()?;
        Ok(())
    }

    #[inline(never)]
    fn decode_fixed(
        place: &mut Option<Self>,
        flags: u8,
        fixed: &[u8; FIXED_LEN - 1],
    ) -> Result<(), StateError> {
        let mut r = Reader::new(fixed);
        *place = Some(Self {
            direction: if flags & RESPONDER != 0 {
                Direction::FromResponder
            } else {
                Direction::FromInitiator
            },
            confirmed: flags & CONFIRMED != 0,
            id: *r.array()?,
            start: StartTag(*r.array()?),
            one_time_prekey: NonZeroU32::new(r.u32()?),
            max_body: r.u16()?,
            root: RootKey::new(*r.array()?),
            peer: PublicKey::checked(*r.array()?),
            next_sending_header: HeaderKey::new(*r.array()?),
            next_receiving_header: HeaderKey::new(*r.array()?),
            previous: r.u32()?,
            sending: None,
            receiving: Receiving::Nothing { opening: None },
        });
        Ok(())
    }
}

fn decode_sending(r: &mut Reader<'_>) -> Result<SendingChain, StateError> {
    let (key, header) = (ChainKey::new(*r.array()?), HeaderKey::new(*r.array()?));
    let secret = SecretKey::new(*r.array()?);
    let pair = KeyPair::from_parts(secret, PublicKey::checked(*r.array()?));
    let n = r.u32()?;
    Ok(SendingChain {
        key,
        header,
        pair,
        n,
        reserved: n,
        written: n,
    })
}

#[inline(never)]
fn decode_chain<const SKIP: usize>(
    receiving: &mut Receiving<SKIP>,
    r: &mut Reader<'_>,
    older: bool,
    oldest: bool,
) -> Result<(), StateError> {
    let (key, header) = (ChainKey::new(*r.array()?), HeaderKey::new(*r.array()?));
    *receiving = Receiving::Chain {
        chain: ReceivingChain {
            key,
            header,
            n: r.u32()?,
        },
        skipped: Skipped::new(),
    };
    let Receiving::Chain { skipped, .. } = receiving else {
        return Err(StateError);
    };
    for (header, present) in skipped.headers.iter_mut().zip([older, oldest]) {
        if present {
            *header = HeaderKey::new(*r.array()?);
        }
    }
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
        *n = varint::take_u32(r)?;
        *key = *r.array()?;
        let known = match *chain {
            1 => oldest,
            2 => older,
            tag => tag == Chain::Current as u8,
        };
        if !known {
            return Err(StateError);
        }
    }
    Ok(())
}

/// Kept keys by chain and number: one state has one encoding.
pub(super) struct KeptInOrder<'a, const SKIP: usize> {
    skipped: &'a Skipped<SKIP>,
    after: (u8, u32),
    first: bool,
}

impl<'a, const SKIP: usize> KeptInOrder<'a, SKIP> {
    pub(super) const fn of(receiving: &'a Receiving<SKIP>) -> Option<Self> {
        match receiving {
            Receiving::Nothing { .. } => None,
            Receiving::Chain { skipped, .. } => Some(Self {
                skipped,
                after: (0, 0),
                first: true,
            }),
        }
    }
}

impl<'a, const SKIP: usize> Iterator for KeptInOrder<'a, SKIP> {
    type Item = (u8, u32, &'a [u8; 32]);

    fn next(&mut self) -> Option<Self::Item> {
        let Skipped {
            keys,
            numbers,
            chains,
            headers: _,
        } = self.skipped;
        let places = chains.iter().zip(numbers).zip(keys);
        let (after, first) = (self.after, self.first);
        let next = places
            .map(|((chain, n), key)| (*chain, *n, key))
            .filter(|(chain, n, _)| *chain != 0 && (first || (*chain, *n) > after))
            .min_by_key(|(chain, n, _)| (*chain, *n))?;
        self.after = (next.0, next.1);
        self.first = false;
        Some(next)
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
