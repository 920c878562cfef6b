//! What moved since the last record, without a key in it.

use core::num::NonZeroU8;

use super::{session::KeptInOrder, varint};
use crate::{
    crypto::PublicKey,
    limits::MAX_JUMP,
    peer::{Conversation, Peer},
    ratchet::{
        chain::{ChainKey, ReceivingChain},
        skipped::{Chain, Skipped},
    },
    session::{Position, Receiving, Session, StateError},
    wire::{Reader, WireError, Writer},
};

const SESSION: u8 = 0x01;
const ASIDE: u8 = 0x02;
const COUNTS: u8 = 0x04;
const HEARD: u8 = 0x08;

const RECEIVED: u8 = 0x01;
const RESERVED: u8 = 0x02;
const KEPT: u8 = 0x04;

/// Messages that one change moves a receiving chain at most: what a reader computes for it.
const MAX_ADVANCE: u64 = 4096;

/// What the last record of a conversation holds: by it the next change is told. No secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark {
    heard_at: u64,
    done: u64,
    counts: [u8; 2],
    session: Option<Trace>,
    aside: Option<Trace>,
}

impl Mark {
    /// A contact of whom nothing was written.
    pub const EMPTY: Self = Self {
        heard_at: 0,
        done: 0,
        counts: [0; 2],
        session: None,
        aside: None,
    };
}

/// Where a session stood.
#[derive(Clone, Copy, Debug)]
struct Trace {
    /// Which session, and which ratchet keys: heads of the start tag, the peer's and the own key.
    names: [u32; 3],
    /// The sending position that was written.
    at: u32,
    /// Number of the next message to come.
    n: u32,
    /// Which keys are kept, told apart by a sum over their numbers.
    kept: u32,
    /// Whether it is confirmed, and whether it has received. Never 0, so that no trace is all zeros.
    stage: NonZeroU8,
}

impl Trace {
    fn of<const SKIP: usize>(session: &Session<SKIP>) -> Self {
        let (n, receiving) = match &session.receiving {
            Receiving::Nothing { .. } => (0, false),
            Receiving::Chain { chain, .. } => (chain.n, true),
        };
        let sending = session.sending.as_ref();
        let start = session.start.0.first_chunk();
        Self {
            names: [
                start.map_or(0, |head| u32::from_be_bytes(*head)),
                head(&session.peer),
                // A point is never 0: no chain is told from any.
                sending.map_or(0, |chain| head(chain.pair.public()) | 1),
            ],
            at: sending.map_or(0, |chain| chain.written),
            n,
            kept: KeptInOrder::of(&session.receiving).map_or(0, kept_sum),
            stage: NonZeroU8::MIN | u8::from(session.confirmed) << 1 | u8::from(receiving) << 2,
        }
    }

    /// Whether only positions changed since `old`.
    fn follows(&self, old: &Self) -> bool {
        self.names == old.names && self.stage == old.stage && self.n >= old.n && self.at >= old.at
    }
}

/// The four bytes of a point behind its sign.
fn head(point: &PublicKey) -> u32 {
    let [_sign, a, b, c, d, ..] = point.bytes();
    u32::from_be_bytes([*a, *b, *c, *d])
}

/// FNV-1a over chains and numbers.
fn kept_sum<const SKIP: usize>(kept: KeptInOrder<'_, SKIP>) -> u32 {
    kept.fold(0x811c_9dc5, |sum, (chain, n, _)| {
        let [a, b, c, d] = n.to_be_bytes();
        [chain, a, b, c, d].iter().fold(sum, |sum, byte| {
            (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    })
}

impl<const SKIP: usize> Conversation<'_, SKIP> {
    /// Where the conversation stands, with the sending positions that were encoded last. Take it
    /// after each record that was written.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let [done, ..] = self.peer.done;
        Mark {
            heard_at: self.peer.heard_at,
            done,
            counts: [self.peer.unopened, self.peer.refused],
            session: self.peer.session.as_ref().map(Trace::of),
            aside: self.aside().map(Trace::of),
        }
    }

    fn aside(&self) -> Option<&Session<SKIP>> {
        self.tentative.as_ref().and_then(|place| place.as_ref())
    }

    /// Writes what moved since `mark`; returns the length, 0 where nothing did. `None`: a step was
    /// taken, a session came or went, or it does not fit: write a base.
    ///
    /// # Errors
    /// [`StateError`]: never for a state that this crate made.
    pub fn encode_change(
        &mut self,
        since: &Mark,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, StateError> {
        let sessions = [
            (self.peer.session.as_mut(), &since.session),
            (
                self.tentative.as_mut().and_then(|place| place.as_mut()),
                &since.aside,
            ),
        ];
        for (session, old) in sessions {
            let follows = match (session, old) {
                (None, None) => true,
                (Some(session), Some(old)) => {
                    if let Some(chain) = &mut session.sending {
                        chain.write_position(Position::Reserved);
                    }
                    Trace::of(session).follows(old)
                }
                _ => false,
            };
            if !follows {
                return Ok(None);
            }
        }
        match self.write_change(since, buffer) {
            Ok(len) => Ok(len),
            Err(WireError::Length) => Ok(None),
            Err(_) => Err(StateError),
        }
    }

    fn write_change(&self, since: &Mark, buffer: &mut [u8]) -> Result<Option<usize>, WireError> {
        let now = self.mark();
        let Some(heard) = now.heard_at.checked_sub(since.heard_at) else {
            return Ok(None);
        };
        let moved = |now: &Option<Trace>, old: &Option<Trace>| match (now, old) {
            (Some(now), Some(old)) => (now.n, now.at, now.kept) != (old.n, old.at, old.kept),
            _ => false,
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(moved(&now.session, &since.session), SESSION)
            | flag(moved(&now.aside, &since.aside), ASIDE)
            | flag(now.counts != since.counts, COUNTS)
            | flag(heard != 0, HEARD);
        if flags == 0 {
            return Ok(Some(0));
        }
        let mut w = Writer::new(buffer);
        w.u8(flags)?;
        if flags & HEARD != 0 {
            varint::put(&mut w, heard)?;
        }
        if flags & COUNTS != 0 {
            w.put(&now.counts)?;
        }
        let sessions = [
            (
                SESSION,
                self.peer.session.as_ref(),
                now.session,
                since.session,
            ),
            (ASIDE, self.aside(), now.aside, since.aside),
        ];
        for (bit, session, now, old) in sessions {
            if flags & bit != 0
                && let (Some(session), Some(now), Some(old)) = (session, now, old)
                && !write_moved(&mut w, session, &now, &old)?
            {
                return Ok(None);
            }
        }
        Ok(Some(w.len()))
    }

    /// Moves the conversation on by a change that was written over the state that it is in now.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode_change`] does not write over this state.
    /// The sessions are of no use then.
    pub fn apply_change(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let mut r = Reader::new(bytes);
        let flags = r.u8()?;
        if flags & !(SESSION | ASIDE | COUNTS | HEARD) != 0 {
            return Err(StateError);
        }
        if flags & HEARD != 0 {
            let heard = self.peer.heard_at.checked_add(varint::take(&mut r)?);
            self.peer.heard_at = heard.ok_or(StateError)?;
        }
        if flags & COUNTS != 0 {
            (self.peer.unopened, self.peer.refused) = (r.u8()?, r.u8()?);
        }
        let aside = self.tentative.as_mut().and_then(|place| place.as_mut());
        for (bit, session) in [(SESSION, self.peer.session.as_mut()), (ASIDE, aside)] {
            if flags & bit != 0 {
                read_moved(&mut r, session.ok_or(StateError)?)?;
            }
        }
        r.finish()?;
        Ok(())
    }

    /// Writes the envelopes that were dealt with since `mark`, the oldest first, eight bytes each;
    /// returns the length.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is too small; `8 *` [`crate::peer::DONE`] bytes suffice.
    pub fn encode_done(&self, since: &Mark, buffer: &mut [u8]) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        let done = &self.peer.done;
        let fresh = done.iter().position(|id| *id == since.done);
        for id in done.iter().take(fresh.unwrap_or(done.len())).rev() {
            w.u64(*id)?;
        }
        Ok(w.len())
    }

    /// Remembers the envelopes that [`Self::encode_done`] wrote; those known stay where they are.
    pub fn apply_done(&mut self, bytes: &[u8]) {
        for id in bytes.as_chunks::<8>().0 {
            let id = u64::from_be_bytes(*id);
            if !self.peer.done.contains(&id) {
                self.peer.remember_done(id);
            }
        }
    }
}

/// `false`: too far for a change.
fn write_moved<const SKIP: usize>(
    w: &mut Writer<'_>,
    session: &Session<SKIP>,
    now: &Trace,
    old: &Trace,
) -> Result<bool, WireError> {
    let advance = u64::from(now.n.saturating_sub(old.n));
    let reserved = now.at.saturating_sub(old.at);
    if advance > MAX_ADVANCE || reserved > MAX_JUMP {
        return Ok(false);
    }
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = flag(advance != 0, RECEIVED)
        | flag(now.at != old.at, RESERVED)
        | flag(now.kept != old.kept, KEPT);
    w.u8(flags)?;
    if flags & RECEIVED != 0 {
        varint::put(w, advance)?;
    }
    if flags & RESERVED != 0 {
        varint::put(w, u64::from(reserved))?;
    }
    if flags & KEPT != 0 {
        let kept = || KeptInOrder::of(&session.receiving).into_iter().flatten();
        varint::put(w, kept().count() as u64)?;
        for (chain, n, _) in kept() {
            // Numbers of the current chain lie just behind its position.
            let number = if chain == Chain::Current as u8 {
                now.n.saturating_sub(n)
            } else {
                n
            };
            w.u8(chain)?;
            varint::put(w, u64::from(number))?;
        }
    }
    Ok(true)
}

fn read_moved<const SKIP: usize>(
    r: &mut Reader<'_>,
    session: &mut Session<SKIP>,
) -> Result<(), StateError> {
    let flags = r.u8()?;
    if flags & !(RECEIVED | RESERVED | KEPT) != 0 {
        return Err(StateError);
    }
    let advance = if flags & RECEIVED != 0 {
        varint::take(r)?
    } else {
        0
    };
    if advance > MAX_ADVANCE {
        return Err(StateError);
    }
    if flags & RESERVED != 0 {
        let by = varint::take_u32(r)?;
        let chain = session.sending.as_mut().ok_or(StateError)?;
        if by > MAX_JUMP {
            return Err(StateError);
        }
        chain.key = chain.key.advanced(by);
        chain.n = chain.n.checked_add(by).ok_or(StateError)?;
        (chain.reserved, chain.written) = (chain.n, chain.n);
    }
    if flags & (RECEIVED | KEPT) == 0 {
        return Ok(());
    }
    let Receiving::Chain { chain, skipped } = &mut session.receiving else {
        return Err(StateError);
    };
    let advance = u32::try_from(advance).map_err(|_| StateError)?;
    let to = chain.n.checked_add(advance).ok_or(StateError)?;
    if flags & KEPT != 0 {
        let list = KeptList::read(r, to, SKIP)?;
        skipped.forget_but(|chain, n| list.clone().any(|kept| kept == (chain, n)));
        advance_keeping(chain, skipped, to, list)
    } else {
        advance_keeping(chain, skipped, to, KeptList::default())
    }
}

/// Moves a chain on and keeps the keys of the list that it passes; the others of the list must be
/// there.
fn advance_keeping<const SKIP: usize>(
    chain: &mut ReceivingChain,
    skipped: &mut Skipped<SKIP>,
    to: u32,
    list: KeptList<'_>,
) -> Result<(), StateError> {
    let mut key = ChainKey::new(*chain.key.bytes());
    let (mut n, current) = (chain.n, Chain::Current as u8);
    for (of, number) in list {
        if of == current && number >= chain.n {
            // In order: what lies behind is listed twice.
            let steps = number.checked_sub(n).ok_or(StateError)?;
            let (message, next) = key.advanced(steps).step();
            if !skipped.put(number, &message) {
                return Err(StateError);
            }
            (key, n) = (next, number.checked_add(1).ok_or(StateError)?);
        } else if !skipped.holds(of, number) {
            return Err(StateError);
        }
    }
    chain.key = key.advanced(to.checked_sub(n).ok_or(StateError)?);
    chain.n = to;
    Ok(())
}

/// Chains and numbers of kept keys, in order.
#[derive(Clone, Default)]
struct KeptList<'a> {
    bytes: &'a [u8],
    to: u32,
}

impl<'a> KeptList<'a> {
    fn read(r: &mut Reader<'a>, to: u32, most: usize) -> Result<Self, StateError> {
        let count = usize::try_from(varint::take(r)?).map_err(|_| StateError)?;
        if count > most {
            return Err(StateError);
        }
        let all = r.remaining_bytes();
        let before = all.len();
        let mut ahead = Reader::new(all);
        for _ in 0..count {
            entry(&mut ahead, to)?;
        }
        let bytes = r.slice(before.saturating_sub(ahead.remaining()))?;
        Ok(Self { bytes, to })
    }
}

impl Iterator for KeptList<'_> {
    type Item = (u8, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let mut r = Reader::new(self.bytes);
        let next = entry(&mut r, self.to).ok()?;
        self.bytes = r.rest();
        Some(next)
    }
}

fn entry(r: &mut Reader<'_>, to: u32) -> Result<(u8, u32), WireError> {
    let chain = r.u8()?;
    let number = varint::take_u32(r)?;
    let number = match chain {
        1 | 2 => number,
        3 => to
            .checked_sub(number)
            .filter(|number| *number < to)
            .ok_or(WireError::Value)?,
        _ => return Err(WireError::Value),
    };
    Ok((chain, number))
}

impl<const SKIP: usize> Peer<SKIP> {
    /// Puts an envelope in front of those dealt with.
    pub(crate) fn remember_done(&mut self, id: u64) {
        self.done.rotate_right(1);
        let [newest, ..] = &mut self.done;
        *newest = id;
    }
}
