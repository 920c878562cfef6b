//! What is kept about one contact: its keys, its session, and what guards a restart.

use heapless::Vec;

use crate::{
    identity::{Address, IdentityPublic},
    limits::REPLAY_MEMORY,
    session::{Position, Session, StartTag, StateError},
    wire::{EnvelopeId, Reader, WireError, Writer, bundle::Suites},
};

/// Version of the encoding.
const FORMAT: u8 = 0x01;

/// Envelopes of one contact that are remembered as dealt with: the largest delivery window.
/// 8 bytes of RAM each.
pub const DONE: usize = 16;

/// How a peer came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of it is opened. The first, so that an empty place of a table is all zeros.
    Blocked,
    /// The owner added it.
    Contact,
    /// It wrote first.
    Stranger,
}

impl Standing {
    /// Its number in a record.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Contact => 1,
            Self::Stranger => 2,
            Self::Blocked => 3,
        }
    }
}

/// One contact.
#[derive(Debug)]
pub struct Peer<const SKIP: usize> {
    /// Its address.
    pub address: Address,
    /// How it came to be known.
    pub standing: Standing,
    /// The link that leads to its mailbox.
    pub link: u8,
    /// Its keys, once a bundle or a first message has shown them; certified by the address.
    pub identity: Option<IdentityPublic>,
    /// Highest bundle counter seen.
    pub bundle_counter: u64,
    /// Suites that its bundles have offered.
    pub suites: Suites,
    /// The session in use, or the one that this side started first.
    pub session: Option<Session<SKIP>>,
    /// When this side last started a session, in the endpoint's milliseconds; 0 for never.
    pub started_at: u64,
    /// Deliveries in a row that were hinted at this contact and did not open.
    pub unopened: u8,
    /// Envelopes to this contact that its device could not open, as the relay tells it.
    pub refused: u8,
    /// When a message of it was last opened, in the endpoint's milliseconds.
    pub heard_at: u64,
    /// Envelopes that were dealt with last: a relay that missed the ack delivers them again.
    pub done: [u64; DONE],
    /// Starts without one-time prekey, each with the signed prekey that it used.
    pub replays: Vec<(u32, StartTag), REPLAY_MEMORY>,
}

impl<const SKIP: usize> Peer<SKIP> {
    /// A contact of whom only the address is known.
    #[must_use]
    pub const fn new(address: Address, standing: Standing, link: u8) -> Self {
        Self {
            address,
            standing,
            link,
            identity: None,
            bundle_counter: 0,
            suites: Suites::from_bytes([0; 4]),
            session: None,
            started_at: 0,
            unopened: 0,
            refused: 0,
            heard_at: 0,
            done: [0; DONE],
            replays: Vec::new(),
        }
    }

    /// The peer's sign of life: what was suspected of its session is void.
    pub(crate) const fn heard(&mut self, now: u64) {
        self.heard_at = now;
        self.unopened = 0;
        self.refused = 0;
    }

    /// Whether an envelope was dealt with before.
    pub(crate) fn is_done(&self, id: &EnvelopeId) -> bool {
        self.done.contains(&short(id))
    }

    /// Remembers an envelope as dealt with, and forgets the oldest.
    pub(crate) fn mark_done(&mut self, id: &EnvelopeId) {
        self.remember_done(short(id));
    }

    /// Remembers a start without one-time prekey. `false`: it was seen before, or there is no room
    /// (it is never made by forgetting one whose signed prekey still lives).
    pub(crate) fn remember_start(
        &mut self,
        signed_prekey: u32,
        tag: StartTag,
        lives: impl Fn(u32) -> bool,
    ) -> bool {
        if self.replays.iter().any(|(_, seen)| *seen == tag) {
            return false;
        }
        self.replays.retain(|(id, _)| lives(*id));
        self.replays.push((signed_prekey, tag)).is_ok()
    }
}

/// A contact together with the place for a session that is not confirmed yet.
#[derive(Debug)]
pub struct Conversation<'a, const SKIP: usize> {
    /// The contact.
    pub peer: &'a mut Peer<SKIP>,
    /// The place for a second session. A device shares one among its contacts: `None` while
    /// another contact uses it.
    pub tentative: Option<&'a mut Option<Session<SKIP>>>,
}

impl<const SKIP: usize> Conversation<'_, SKIP> {
    /// Most bytes that [`Self::encode`] writes.
    pub const MAX_ENCODED: usize =
        384 + REPLAY_MEMORY * 12 + 2 * (Session::<SKIP>::MAX_ENCODED + 4);

    /// Writes the contact and its sessions; returns the length.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is smaller than [`Self::MAX_ENCODED`].
    pub fn encode(&mut self, position: Position, buffer: &mut [u8]) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        let peer = &mut *self.peer;
        w.u8(FORMAT)?;
        w.put(&peer.address.0)?;
        w.u8(peer.standing.byte())?;
        w.u8(peer.link)?;
        w.u8(u8::from(peer.identity.is_some()))?;
        w.put(
            &peer
                .identity
                .as_ref()
                .map_or([0; IdentityPublic::LEN], IdentityPublic::bytes),
        )?;
        w.u64(peer.bundle_counter)?;
        w.put(peer.suites.bytes())?;
        w.u64(peer.started_at)?;
        w.u8(peer.unopened)?;
        w.u8(peer.refused)?;
        w.u64(peer.heard_at)?;
        peer.done.iter().try_for_each(|id| w.u64(*id))?;
        w.u8(u8::try_from(peer.replays.len()).map_err(|_| StateError)?)?;
        for (id, tag) in &peer.replays {
            w.u32(*id)?;
            w.put(&tag.0)?;
        }
        let mut len = w.len();
        let tentative = self.tentative.as_mut().and_then(|place| place.as_mut());
        for session in [peer.session.as_mut(), tentative] {
            let room = buffer.get_mut(len..).ok_or(StateError)?;
            let (size, room) = room.split_first_chunk_mut::<4>().ok_or(StateError)?;
            let written = match session {
                Some(session) => session.encode(position, room)?,
                None => 0,
            };
            *size = u32::try_from(written)
                .map_err(|_| StateError)?
                .to_be_bytes();
            len = len.saturating_add(4).saturating_add(written);
        }
        Ok(len)
    }
}

impl<const SKIP: usize> Peer<SKIP> {
    /// Reads a contact and its second session back.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Conversation::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Option<Session<SKIP>>), StateError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(StateError);
        }
        let address = Address(*r.array()?);
        let standing = match r.u8()? {
            1 => Standing::Contact,
            2 => Standing::Stranger,
            3 => Standing::Blocked,
            _ => return Err(StateError),
        };
        let mut peer = Self::new(address, standing, r.u8()?);
        let known = r.u8()?;
        let keys = r.array()?;
        if known == 1 {
            peer.identity = Some(IdentityPublic::checked(keys).map_err(|_| StateError)?);
        }
        peer.bundle_counter = r.u64()?;
        peer.suites = Suites::from_bytes(*r.array()?);
        peer.started_at = r.u64()?;
        peer.unopened = r.u8()?;
        peer.refused = r.u8()?;
        peer.heard_at = r.u64()?;
        for id in &mut peer.done {
            *id = r.u64()?;
        }
        for _ in 0..r.u8()? {
            let start = (r.u32()?, StartTag(*r.array()?));
            peer.replays.push(start).map_err(|_| StateError)?;
        }
        peer.session = Self::decode_session(&mut r)?;
        let tentative = Self::decode_session(&mut r)?;
        r.finish()?;
        Ok((peer, tentative))
    }

    fn decode_session(r: &mut Reader<'_>) -> Result<Option<Session<SKIP>>, StateError> {
        let len = usize::try_from(r.u32()?).map_err(|_| WireError::Length)?;
        match r.slice(len)? {
            [] => Ok(None),
            bytes => Session::decode(bytes).map(Some),
        }
    }
}

/// Enough of an envelope's id to know it again among [`DONE`].
fn short(id: &EnvelopeId) -> u64 {
    id.0.first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_remembered_while_its_prekey_lives() {
        let mut peer = Peer::<8>::new(Address([1; 20]), Standing::Contact, 0);
        for n in 0..REPLAY_MEMORY {
            assert!(peer.remember_start(1, StartTag([n as u8; 8]), |_| true));
        }
        assert!(!peer.remember_start(1, StartTag([3; 8]), |_| true), "seen");
        assert!(
            !peer.remember_start(1, StartTag([99; 8]), |_| true),
            "no room"
        );
        assert!(
            peer.remember_start(2, StartTag([99; 8]), |id| id == 2),
            "the old prekey is gone"
        );
        assert_eq!(peer.replays.len(), 1);
    }

    #[test]
    fn a_contact_reads_back() {
        let mut peer = Peer::<8>::new(Address([1; 20]), Standing::Stranger, 3);
        peer.bundle_counter = 7;
        assert!(peer.remember_start(1, StartTag([3; 8]), |_| true));
        let mut tentative = None;
        let mut buffer = [0; Conversation::<8>::MAX_ENCODED];
        let mut conversation = Conversation {
            peer: &mut peer,
            tentative: Some(&mut tentative),
        };
        let len = conversation
            .encode(Position::Reserved, &mut buffer)
            .unwrap();
        let (back, tentative) = Peer::<8>::decode(&buffer[..len]).unwrap();
        assert!(tentative.is_none());
        assert_eq!(std::format!("{back:?}"), std::format!("{peer:?}"));
        for short in 0..len {
            assert!(Peer::<8>::decode(&buffer[..short]).is_err());
        }
    }
}
