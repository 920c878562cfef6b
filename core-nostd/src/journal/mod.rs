//! A conversation in parts, for storage that counts its bytes: flash. PROTOCOL 8.3
//!
//! ```text
//! card      who it is: address, keys, standing, starts seen      written when one of them changes
//! base      the session and what goes with it                    written at each ratchet step
//! aside     the session that is not confirmed yet                written with the base
//! change    what moved since: positions, kept numbers, counts    a few bytes for each message
//! done      envelopes dealt with since
//! ```
//! A change holds no key: a reader moves the base's chains on by itself. So it is as secret as the
//! base's chain keys, no more and no less, and storage that wipes a base has wiped its changes.

mod card;
mod change;
mod session;
mod varint;

pub use change::Mark;

use crate::{
    peer::Conversation,
    session::{Position, Session, StateError},
    wire::{Reader, Writer},
};

/// Version of these encodings.
const FORMAT: u8 = 0x01;

impl<const SKIP: usize> Conversation<'_, SKIP> {
    /// Most bytes that [`Self::encode_base`] and [`Self::encode_aside`] write.
    pub const MAX_BASE: usize = 1 + 8 + 2 + 1 + Session::<SKIP>::MAX_COMPACT;

    /// Writes the base: the session in use and what changes with it. Returns the length.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is too small; [`Self::MAX_BASE`] bytes always suffice.
    pub fn encode_base(
        &mut self,
        position: Position,
        buffer: &mut [u8],
    ) -> Result<usize, StateError> {
        let peer = &mut *self.peer;
        let mut w = Writer::new(buffer);
        w.u8(FORMAT)?;
        w.u64(peer.heard_at)?;
        w.u8(peer.unopened)?;
        w.u8(peer.refused)?;
        w.u8(u8::from(peer.session.is_some()))?;
        if let Some(session) = &mut peer.session {
            session.encode_compact(position, &mut w)?;
        }
        Ok(w.len())
    }

    /// Reads a base into the contact that a card made.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode_base`] does not write. The contact has no
    /// session then.
    pub fn decode_base(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let peer = &mut *self.peer;
        peer.session = None;
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(StateError);
        }
        peer.heard_at = r.u64()?;
        peer.unopened = r.u8()?;
        peer.refused = r.u8()?;
        match r.u8()? {
            0 => r.finish()?,
            1 => Session::decode_compact(&mut peer.session, &mut r)?,
            _ => return Err(StateError),
        }
        Ok(())
    }

    /// Writes the session in the second place, and returns the length; 0 where there is none.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is too small; [`Self::MAX_BASE`] bytes always suffice.
    pub fn encode_aside(
        &mut self,
        position: Position,
        buffer: &mut [u8],
    ) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        if let Some(session) = self.tentative.as_mut().and_then(|place| place.as_mut()) {
            w.u8(FORMAT)?;
            session.encode_compact(position, &mut w)?;
        }
        Ok(w.len())
    }

    /// Reads a session into the second place.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode_aside`] does not write, and where the
    /// second place is another contact's.
    pub fn decode_aside(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let place = self.tentative.as_mut().ok_or(StateError)?;
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(StateError);
        }
        Session::decode_compact(place, &mut r)
    }
}
