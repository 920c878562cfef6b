//! A storage with a device's table of contacts and no medium: it stands where a flash driver would
//! be, and adds next to nothing to what is measured but the sealing of records.

use core::hint::black_box;

use hushwire_core::identity::Address;
use hushwire_core::limits::DEVICE_MAX_SKIP;
use hushwire_core::peer::{Conversation, Peer};
use hushwire_core::prekey::Prekeys;
use hushwire_core::session::{Kind, Position, Session};
use hushwire_core::snapshot::{HEADROOM, OVERHEAD, StorageKey};
use hushwire_core::storage::{Event, Incoming, OutboxEntry, OutboxState, RelayMark, Storage, Wake};
use hushwire_core::wire::MessageId;

use crate::input::{Counter, array, bytes};

const RECORD: usize = Conversation::<DEVICE_MAX_SKIP>::MAX_ENCODED + OVERHEAD;

/// Four contacts, and the one place for a session that is not confirmed.
pub struct Shelf {
    pub contacts: [Option<Peer<DEVICE_MAX_SKIP>>; 4],
    pub tentative: Option<Session<DEVICE_MAX_SKIP>>,
    pub key: StorageKey,
    pub record: [u8; RECORD],
}

/// The medium failed.
pub struct Broken;

/// A result of which the compiler cannot tell how it went.
fn maybe<T>(value: T) -> Result<T, Broken> {
    if black_box(true) {
        Ok(black_box(value))
    } else {
        Err(Broken)
    }
}

fn entry() -> OutboxEntry {
    OutboxEntry {
        to: Address(array()),
        id: MessageId(array()),
        kind: Kind(black_box(1)),
        link: black_box(0),
        state: black_box(OutboxState::Queued),
        due: black_box(0),
        attempts: black_box(0),
    }
}

impl Shelf {
    fn seal(&mut self, len: usize) -> Result<(), Broken> {
        let record = self.record.get_mut(..len + OVERHEAD).ok_or(Broken)?;
        self.key
            .seal(&mut Counter, bytes(), black_box(1), record)
            .map_err(|_| Broken)?;
        self.key
            .open(bytes(), black_box(1), record)
            .map_err(|_| Broken)?;
        maybe(())
    }
}

impl Storage<DEVICE_MAX_SKIP> for Shelf {
    type Error = Broken;

    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, DEVICE_MAX_SKIP>>, Broken> {
        let peer = self
            .contacts
            .iter_mut()
            .flatten()
            .find(|peer| peer.address == *who);
        Ok(peer.map(|peer| Conversation {
            peer,
            tentative: Some(&mut self.tentative),
        }))
    }

    fn create(&mut self, peer: Peer<DEVICE_MAX_SKIP>) -> Result<bool, Broken> {
        let free = self.contacts.iter_mut().find(|contact| contact.is_none());
        Ok(free.map(|place| *place = Some(peer)).is_some())
    }

    fn save(&mut self, who: &Address) -> Result<(), Broken> {
        let mut buffer = [0; RECORD];
        let contents = buffer.get_mut(HEADROOM..).ok_or(Broken)?;
        let mut conversation = self.conversation(who)?.ok_or(Broken)?;
        let position = black_box(Position::Reserved);
        let len = conversation
            .encode(position, contents)
            .map_err(|_| Broken)?;
        self.record = buffer;
        self.seal(len)?;
        let contents = self.record.get(HEADROOM..).ok_or(Broken)?;
        let (peer, tentative) = Peer::decode(contents).map_err(|_| Broken)?;
        self.tentative = tentative;
        self.create(peer).map(drop)
    }

    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), Broken> {
        let contents = self.record.get_mut(HEADROOM..).ok_or(Broken)?;
        let len = prekeys.encode(contents).map_err(|_| Broken)?;
        self.seal(len)
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, Broken> {
        black_box((entry, body));
        maybe(true)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), Broken> {
        black_box((fresh, id));
        maybe(())
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, Broken> {
        black_box((now, links));
        maybe(Some(entry()))
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, Broken> {
        black_box(links);
        maybe(Some(1))
    }

    fn body(&mut self, to: &Address, id: MessageId, buffer: &mut [u8]) -> Result<usize, Broken> {
        black_box((to, id, buffer));
        maybe(1)
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, Broken> {
        black_box((to, id));
        maybe(Some(entry()))
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), Broken> {
        black_box(entry);
        maybe(())
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), Broken> {
        black_box((to, id));
        maybe(())
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), Broken> {
        black_box((which, due));
        maybe(())
    }

    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, Broken> {
        black_box((from, id));
        maybe(false)
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Broken> {
        black_box(message);
        maybe(())
    }

    fn event(&mut self, event: Event) -> Result<(), Broken> {
        black_box(event);
        maybe(())
    }

    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, Broken> {
        black_box(link);
        maybe(Some(RelayMark {
            epoch: black_box(1),
            next_sequence: black_box(1),
        }))
    }

    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), Broken> {
        black_box((link, mark));
        maybe(())
    }

    fn commit(&mut self) -> Result<(), Broken> {
        maybe(())
    }
}
