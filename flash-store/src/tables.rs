//! What the store keeps in RAM.

use heapless::{Deque, Vec};
use hushwire_core::{
    identity::Address,
    journal::Mark,
    peer::{DONE, Peer, Standing},
    session::{Kind, Session},
    storage::{Event, OutboxEntry, OutboxState, RelayMark},
    wire::MessageId,
};

use crate::{batch::Batch, items::SCRATCH};

/// Messages that may wait in the inbox for the application: 40 bytes of RAM each.
pub const INBOX: usize = 8;

/// Settings of the application: slots `0..SETTINGS`.
pub const SETTINGS: u8 = 16;

/// Bytes of the largest setting.
pub const MAX_SETTING: usize = 200;

/// Messages of one contact that are known again by their id, so that none is recorded twice: 6 bytes
/// of RAM each. A sender may have a quarter of a mailbox waiting, 32 messages, and sends again only
/// what was not receipted.
pub const SEEN: usize = 48;

/// Message ids in receipts that no relay has taken yet: 18 bytes of RAM each.
pub(crate) const OWED: usize = 32;
/// Links whose relay is remembered.
pub(crate) const LINKS: usize = 8;
const EVENTS: usize = 8;

/// The RAM of a [`crate::FlashStore`]: `SKIP` kept keys a session, `CONTACTS` peers that share one
/// tentative session, `OUTBOX` messages of the user's that wait for their receipt.
///
/// Its own type, so that it can be a `static` and never crosses the stack.
#[derive(Debug)]
pub struct Tables<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> {
    pub(crate) contacts: [Contact<SKIP>; CONTACTS],
    pub(crate) aside: Aside<SKIP>,
    pub(crate) outbox: Vec<Entry, OUTBOX>,
    pub(crate) inbox: Vec<Letter, INBOX>,
    pub(crate) owed: Vec<Owed, OWED>,
    pub(crate) marks: [Option<RelayMark>; LINKS],
    pub(crate) events: Events,
    pub(crate) batch: Batch,
    pub(crate) scratch: [u8; SCRATCH],
}

impl<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> Tables<SKIP, CONTACTS, OUTBOX> {
    /// Bytes of RAM.
    pub const RAM: usize = size_of::<Self>();

    /// Empty tables: nothing but zeros, so that a `static` of them costs no flash.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                CONTACTS >= 1 && CONTACTS <= 16,
                "names have four bits for a contact"
            );
            assert!(
                OUTBOX >= 1 && OUTBOX <= 32,
                "names have five bits for a message"
            );
        }
        Self {
            contacts: [const { Contact::new() }; CONTACTS],
            aside: Aside {
                session: None,
                owner: None,
                lent: 0,
                since: 0,
                slot: 0,
            },
            outbox: Vec::new(),
            inbox: Vec::new(),
            owed: Vec::new(),
            marks: [None; LINKS],
            events: Events {
                queue: Deque::new(),
                committed: 0,
            },
            batch: Batch::new(),
            scratch: [0; SCRATCH],
        }
    }

    pub(crate) fn clear(&mut self) {
        self.contacts.iter_mut().for_each(Contact::clear);
        self.aside.session = None;
        self.aside.owner = None;
        self.outbox.clear();
        self.inbox.clear();
        self.owed.clear();
        self.marks = [None; LINKS];
        self.events.queue.clear();
        self.events.committed = 0;
        self.batch.clear();
    }

    pub(crate) fn find(&self, who: &Address) -> Option<u8> {
        let known = |found: &Contact<SKIP>| found.used && found.peer.address == *who;
        let at = self.contacts.iter().position(known)?;
        u8::try_from(at).ok()
    }

    pub(crate) fn contact(&self, at: u8) -> Option<&Contact<SKIP>> {
        self.contacts
            .get(usize::from(at))
            .filter(|found| found.used)
    }

    pub(crate) fn contact_mut(&mut self, at: u8) -> Option<&mut Contact<SKIP>> {
        self.contacts
            .get_mut(usize::from(at))
            .filter(|found| found.used)
    }

    pub(crate) fn indices(&self) -> impl Iterator<Item = u8> + use<SKIP, CONTACTS, OUTBOX> {
        0..u8::try_from(CONTACTS).unwrap_or(u8::MAX)
    }
}

impl<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> Default
    for Tables<SKIP, CONTACTS, OUTBOX>
{
    fn default() -> Self {
        Self::new()
    }
}

/// One contact, and what flash holds of it.
#[derive(Debug)]
pub(crate) struct Contact<const SKIP: usize> {
    /// There is one. A place is filled where it stands: a contact never crosses the stack.
    pub(crate) used: bool,
    pub(crate) peer: Peer<SKIP>,
    /// What the base and its changes hold.
    pub(crate) mark: Mark,
    /// Generation of the base; 0: there is none.
    pub(crate) generation: u32,
    /// The first batch with a change of the base, and the first with something for the rings.
    pub(crate) base_since: Option<u32>,
    pub(crate) rings_since: Option<u32>,
    /// Digest of the card on flash.
    pub(crate) card: [u8; 4],
    /// Saved, not committed.
    pub(crate) dirty: bool,
    /// Messages recorded last, the newest first; zeros are none.
    pub(crate) seen: [[u8; 6]; SEEN],
    /// The endpoint's own messages: see [`own_place`].
    pub(crate) own: [Option<Entry>; OWN],
}

/// The endpoint's own messages that wait for one contact.
pub(crate) const OWN: usize = 5;
/// Of these, the first of two receipts.
pub(crate) const RECEIPTS: usize = 3;

/// Where an own message of a kind waits; `None`: it is the user's.
pub(crate) const fn own_place(kind: Kind) -> Option<usize> {
    match kind {
        Kind::PROBE => Some(0),
        Kind::ALIVE => Some(1),
        Kind::RESEND => Some(2),
        _ => None,
    }
}

impl<const SKIP: usize> Contact<SKIP> {
    pub(crate) const fn new() -> Self {
        Self {
            used: false,
            peer: Peer::new(Address::ZERO, Standing::Blocked, 0),
            mark: Mark::EMPTY,
            generation: 0,
            base_since: None,
            rings_since: None,
            card: [0; 4],
            dirty: false,
            seen: [[0; 6]; SEEN],
            own: [None; OWN],
        }
    }

    /// Empties the place; the session's keys are wiped.
    pub(crate) fn clear(&mut self) {
        self.used = false;
        self.peer.session = None;
        self.peer.address = Address::ZERO;
        self.forget();
    }

    /// A contact that flash does not know yet.
    pub(crate) fn begin(&mut self) {
        self.used = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.mark = Mark::EMPTY;
        self.generation = 0;
        (self.base_since, self.rings_since) = (None, None);
        self.card = [0; 4];
        self.dirty = false;
        self.seen = [[0; 6]; SEEN];
        self.own = [None; OWN];
    }

    pub(crate) fn has_seen(&self, id: &MessageId) -> bool {
        self.seen.contains(&short(id))
    }

    pub(crate) fn saw(&mut self, id: &MessageId) {
        self.saw_short(short(id));
    }

    pub(crate) fn saw_short(&mut self, id: [u8; 6]) {
        if !self.seen.contains(&id) {
            self.seen.rotate_right(1);
            let [newest, ..] = &mut self.seen;
            *newest = id;
        }
    }
}

/// Enough of a random id to know it again among [`SEEN`]: by chance once in 2^42 messages.
pub(crate) fn short(id: &MessageId) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = id.0;
    [a, b, c, d, e, f]
}

const _: () = assert!(DONE * 8 == 128, "the room of a record of dealt envelopes");

/// The one place for a session that is not confirmed yet.
#[derive(Debug)]
pub(crate) struct Aside<const SKIP: usize> {
    pub(crate) session: Option<Session<SKIP>>,
    /// Whose it is.
    pub(crate) owner: Option<u8>,
    /// To whom the place was lent last.
    pub(crate) lent: u8,
    /// When it was taken, in the endpoint's milliseconds.
    pub(crate) since: u64,
    /// Which of its two items was written last.
    pub(crate) slot: u8,
}

/// Where a body stands.
///
/// Zero is none of these, and no field of an [`Entry`] has more values to spare: so `None` for an
/// entry is all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Place {
    /// It has none.
    Nowhere = 1,
    /// In the batch that is not written yet.
    Staged = 2,
    /// In the batch with this number.
    Batch(u32) = 3,
    /// In an item of its own.
    Item(u8) = 4,
}

/// A message of the outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Rises with each push.
    pub(crate) order: u32,
    pub(crate) due: u64,
    pub(crate) id: MessageId,
    pub(crate) len: u16,
    pub(crate) contact: u8,
    pub(crate) kind: Kind,
    pub(crate) link: u8,
    pub(crate) state: OutboxState,
    pub(crate) attempts: u8,
    pub(crate) place: Place,
}

impl Entry {
    pub(crate) const fn outward(&self, to: Address) -> OutboxEntry {
        OutboxEntry {
            to,
            id: self.id,
            kind: self.kind,
            link: self.link,
            state: self.state,
            due: self.due,
            attempts: self.attempts,
        }
    }
}

/// A message of the inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    pub(crate) order: u32,
    pub(crate) stored_at: u64,
    pub(crate) id: MessageId,
    pub(crate) len: u16,
    pub(crate) contact: u8,
    pub(crate) kind: Kind,
    pub(crate) replayable: bool,
    /// The application may see it.
    pub(crate) committed: bool,
    pub(crate) place: Place,
}

/// A receipt that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) contact: u8,
    /// Which of the contact's receipts carries it.
    pub(crate) receipt: u8,
    pub(crate) id: MessageId,
}

/// What happened: shown once it is committed; the oldest goes when there is no room.
#[derive(Debug)]
pub(crate) struct Events {
    queue: Deque<Event, EVENTS>,
    committed: usize,
}

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.is_full() {
            self.queue.pop_front();
            self.committed = self.committed.saturating_sub(1);
        }
        let _room = self.queue.push_back(event);
    }

    pub(crate) fn commit(&mut self) {
        self.committed = self.queue.len();
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.committed = self.committed.checked_sub(1)?;
        self.queue.pop_front()
    }
}
