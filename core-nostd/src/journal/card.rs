//! Who a contact is: what no message changes.

use super::FORMAT;
use crate::{
    identity::{Address, IdentityPublic},
    limits::REPLAY_MEMORY,
    peer::{Peer, Standing},
    session::{StartTag, StateError},
    wire::{Reader, Writer, bundle::Suites},
};

impl<const SKIP: usize> Peer<SKIP> {
    /// Most bytes that [`Self::encode_card`] writes.
    pub const MAX_CARD: usize =
        1 + Address::LEN + 3 + IdentityPublic::LEN + 8 + 4 + 8 + 1 + REPLAY_MEMORY * 12;

    /// Writes the card; returns the length.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is too small; [`Self::MAX_CARD`] bytes always suffice.
    pub fn encode_card(&self, buffer: &mut [u8]) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        w.u8(FORMAT)?;
        w.put(&self.address.0)?;
        w.u8(self.standing.byte())?;
        w.u8(self.link)?;
        w.u8(u8::from(self.identity.is_some()))?;
        if let Some(identity) = &self.identity {
            w.put(&identity.bytes())?;
        }
        w.u64(self.bundle_counter)?;
        w.put(self.suites.bytes())?;
        w.u64(self.started_at)?;
        w.u8(u8::try_from(self.replays.len()).map_err(|_| StateError)?)?;
        for (id, tag) in &self.replays {
            w.u32(*id)?;
            w.put(&tag.0)?;
        }
        Ok(w.len())
    }

    /// Reads a card in place: a contact without session, of whom nothing was dealt with.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode_card`] does not write; nothing changed
    /// then.
    pub fn decode_card(&mut self, bytes: &[u8]) -> Result<(), StateError> {
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
        let link = r.u8()?;
        let identity = match r.u8()? {
            0 => None,
            1 => Some(IdentityPublic::checked(r.array()?).map_err(|_| StateError)?),
            _ => return Err(StateError),
        };
        let (counter, suites) = (r.u64()?, Suites::from_bytes(*r.array()?));
        let started_at = r.u64()?;
        let mut replays = heapless::Vec::new();
        for _ in 0..r.u8()? {
            let start = (r.u32()?, StartTag(*r.array()?));
            replays.push(start).map_err(|_| StateError)?;
        }
        r.finish()?;
        self.address = address;
        self.standing = standing;
        self.link = link;
        self.identity = identity;
        self.bundle_counter = counter;
        self.suites = suites;
        self.started_at = started_at;
        self.replays = replays;
        self.session = None;
        (self.unopened, self.refused, self.heard_at) = (0, 0, 0);
        self.done = [0; crate::peer::DONE];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_back_and_nothing_shorter_does() {
        let mut peer = Peer::<8>::new(Address([1; 20]), Standing::Stranger, 3);
        peer.bundle_counter = 7;
        peer.started_at = 9;
        peer.replays.push((4, StartTag([2; 8]))).unwrap();
        let mut bytes = [0; Peer::<8>::MAX_CARD];
        let len = peer.encode_card(&mut bytes).unwrap();
        let mut back = Peer::<8>::new(Address([9; 20]), Standing::Contact, 0);
        for short in 0..len {
            assert!(back.decode_card(&bytes[..short]).is_err());
            assert_eq!(back.address.0, [9; 20]);
        }
        back.decode_card(&bytes[..len]).unwrap();
        assert_eq!(std::format!("{back:?}"), std::format!("{peer:?}"));
    }
}
