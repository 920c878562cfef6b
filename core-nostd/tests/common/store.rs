//! A storage in memory that loses power on demand.
//!
//! Changes are staged in order and reach the durable side at a commit. A loss of power may keep any
//! prefix of what was staged: as flash does, which cannot write several records at once.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_core::{
    identity::Address,
    peer::{Conversation, Peer},
    prekey::Prekeys,
    session::{Kind, Position, Session},
    storage::{Event, Incoming, MAX_RECEIPTS, OutboxEntry, OutboxState, RelayMark, Storage, Wake},
    wire::MessageId,
};

pub const SKIP: usize = 32;

#[derive(Clone, Debug)]
pub struct Received {
    pub from: Address,
    pub id: MessageId,
    pub body: Vec<u8>,
    pub replayable: bool,
}

/// What survives.
#[derive(Clone, Default)]
pub struct Durable {
    pub peers: BTreeMap<Address, Vec<u8>>,
    pub own: Vec<u8>,
    pub outbox: Vec<(OutboxEntry, Vec<u8>)>,
    pub seen: BTreeSet<(Address, MessageId)>,
    pub inbox: Vec<Received>,
    pub marks: BTreeMap<u8, RelayMark>,
}

enum Change {
    Peer(Address, Vec<u8>),
    Own(Vec<u8>),
    Push(OutboxEntry, Vec<u8>),
    Update(OutboxEntry),
    Remove(Address, MessageId),
    Receive(Received),
    Mark(u8, RelayMark),
}

impl Durable {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Peer(who, bytes) => {
                self.peers.insert(who, bytes);
            }
            Change::Own(bytes) => self.own = bytes,
            Change::Push(entry, body) => {
                match self
                    .outbox
                    .iter_mut()
                    .find(|(e, _)| (e.to, e.id) == (entry.to, entry.id))
                {
                    Some(place) => *place = (entry, body),
                    None => self.outbox.push((entry, body)),
                }
            }
            Change::Update(entry) => {
                for (place, _) in &mut self.outbox {
                    if (place.to, place.id) == (entry.to, entry.id) {
                        *place = entry;
                    }
                }
            }
            Change::Remove(to, id) => self.outbox.retain(|(e, _)| (e.to, e.id) != (to, id)),
            Change::Receive(message) => {
                self.seen.insert((message.from, message.id));
                self.inbox.push(message);
            }
            Change::Mark(link, mark) => {
                self.marks.insert(link, mark);
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct PowerLost;

pub struct MemoryStore {
    pub durable: Durable,
    staged: Vec<Change>,
    peers: BTreeMap<Address, (Peer<SKIP>, Option<Session<SKIP>>)>,
    outbox: Vec<(OutboxEntry, Vec<u8>)>,
    seen: BTreeSet<(Address, MessageId)>,
    pub events: Vec<Event>,
    pub commits: u64,
    pub steps: u64,
    /// The commit after so many fails, keeping so many staged changes.
    pub fail_commit: Option<(u32, usize)>,
    pub outbox_bound: usize,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::boot(Durable::default())
    }

    /// Starts from what survived.
    pub fn boot(durable: Durable) -> Self {
        let decode = |bytes: &Vec<u8>| Peer::<SKIP>::decode(bytes).unwrap();
        let peers = durable
            .peers
            .iter()
            .map(|(who, bytes)| (*who, decode(bytes)))
            .collect();
        let mut outbox = durable.outbox.clone();
        for (entry, _) in &mut outbox {
            if entry.state == OutboxState::Queued {
                entry.due = 0;
            }
        }
        let seen = durable.seen.clone();
        Self {
            durable,
            staged: Vec::new(),
            peers,
            outbox,
            seen,
            events: Vec::new(),
            commits: 0,
            steps: 0,
            fail_commit: None,
            outbox_bound: 64,
        }
    }

    /// The power goes: a prefix of what was staged survives.
    pub fn lose_power(mut self, keep: usize) -> Durable {
        let keep = keep.min(self.staged.len());
        for change in self.staged.drain(..keep) {
            self.durable.apply(change);
        }
        self.durable
    }

    pub fn spent_prekeys(&self) -> Vec<u32> {
        let sessions = self
            .peers
            .values()
            .flat_map(|(peer, other)| [peer.session.as_ref(), other.as_ref()]);
        sessions
            .flatten()
            .filter_map(Session::spent_prekey)
            .collect()
    }

    pub fn peer(&self, who: &Address) -> Option<&Peer<SKIP>> {
        self.peers.get(who).map(|(peer, _)| peer)
    }

    pub fn tentative(&self, who: &Address) -> Option<&Session<SKIP>> {
        self.peers
            .get(who)
            .and_then(|(_, tentative)| tentative.as_ref())
    }

    pub fn outbox(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.outbox.iter().map(|(entry, _)| entry)
    }

    fn position(&self, to: &Address, id: MessageId) -> Option<usize> {
        self.outbox
            .iter()
            .position(|(entry, _)| (entry.to, entry.id) == (*to, id))
    }
}

impl Storage<SKIP> for MemoryStore {
    type Error = PowerLost;

    fn conversation(&mut self, who: &Address) -> Result<Option<Conversation<'_, SKIP>>, PowerLost> {
        Ok(self
            .peers
            .get_mut(who)
            .map(|(peer, tentative)| Conversation {
                peer,
                tentative: Some(tentative),
            }))
    }

    fn create(&mut self, peer: Peer<SKIP>) -> Result<bool, PowerLost> {
        self.peers.entry(peer.address).or_insert((peer, None));
        Ok(true)
    }

    fn save(&mut self, who: &Address) -> Result<(), PowerLost> {
        let Some((peer, tentative)) = self.peers.get_mut(who) else {
            return Ok(());
        };
        self.steps += u64::from(peer.session.as_ref().is_some_and(Session::will_step));
        let mut bytes = vec![0; Conversation::<SKIP>::MAX_ENCODED];
        let mut conversation = Conversation {
            peer,
            tentative: Some(tentative),
        };
        let len = conversation.encode(Position::Reserved, &mut bytes).unwrap();
        bytes.truncate(len);
        self.staged.push(Change::Peer(*who, bytes));
        Ok(())
    }

    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), PowerLost> {
        let mut bytes = vec![0; Prekeys::<N>::MAX_ENCODED];
        let len = prekeys.encode(&mut bytes).unwrap();
        bytes.truncate(len);
        self.staged.push(Change::Own(bytes));
        Ok(())
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, PowerLost> {
        if entry.kind == Kind::DATA && self.outbox.len() >= self.outbox_bound {
            return Ok(false);
        }
        match self.position(&entry.to, entry.id) {
            Some(at) => self.outbox[at] = (*entry, body.to_vec()),
            None => self.outbox.push((*entry, body.to_vec())),
        }
        self.staged.push(Change::Push(*entry, body.to_vec()));
        Ok(true)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), PowerLost> {
        let open = |(entry, body): &&mut (OutboxEntry, Vec<u8>)| {
            entry.to == fresh.to
                && entry.kind == Kind::RECEIPT
                && entry.attempts == 0
                && body.len() < MAX_RECEIPTS * 16
        };
        if let Some((entry, body)) = self.outbox.iter_mut().find(open) {
            body.extend(id.0);
            self.staged.push(Change::Push(*entry, body.clone()));
            return Ok(());
        }
        self.push(fresh, &id.0).map(|_| ())
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, PowerLost> {
        let due = |entry: &&OutboxEntry| entry.due <= now && links & (1 << entry.link) != 0;
        Ok(self
            .outbox
            .iter()
            .map(|(entry, _)| entry)
            .find(due)
            .copied())
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, PowerLost> {
        let entries = self
            .outbox
            .iter()
            .filter(|(entry, _)| links & (1 << entry.link) != 0);
        Ok(entries.map(|(entry, _)| entry.due).min())
    }

    fn body(&mut self, to: &Address, id: MessageId, buffer: &mut [u8]) -> Result<usize, PowerLost> {
        let Some(at) = self.position(to, id) else {
            return Ok(0);
        };
        let body = &self.outbox[at].1;
        buffer[..body.len()].copy_from_slice(body);
        Ok(body.len())
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, PowerLost> {
        Ok(self.position(to, id).map(|at| self.outbox[at].0))
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), PowerLost> {
        if let Some(at) = self.position(&entry.to, entry.id) {
            self.outbox[at].0 = *entry;
            self.staged.push(Change::Update(*entry));
        }
        Ok(())
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), PowerLost> {
        self.outbox
            .retain(|(entry, _)| (entry.to, entry.id) != (*to, id));
        self.staged.push(Change::Remove(*to, id));
        Ok(())
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), PowerLost> {
        let limit = match which {
            Wake::Before(to, id) => self.position(to, id).unwrap_or(0),
            _ => self.outbox.len(),
        };
        for (entry, _) in &mut self.outbox[..limit] {
            let hit = match which {
                Wake::Link(link) => entry.link == link && entry.state == OutboxState::Queued,
                Wake::Custody(link) => entry.link == link && entry.state == OutboxState::Accepted,
                Wake::Peer(to) => entry.to == *to,
                Wake::Before(to, _) => entry.to == *to && entry.state == OutboxState::Accepted,
            };
            if hit {
                entry.due = entry.due.min(due);
            }
        }
        Ok(())
    }

    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, PowerLost> {
        Ok(self.seen.contains(&(*from, id)))
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), PowerLost> {
        assert!(
            self.seen.insert((message.from, message.id)),
            "a plaintext recorded twice"
        );
        self.staged.push(Change::Receive(Received {
            from: message.from,
            id: message.id,
            body: message.body.to_vec(),
            replayable: message.replayable,
        }));
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), PowerLost> {
        self.events.push(event);
        Ok(())
    }

    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, PowerLost> {
        let staged = self.staged.iter().rev().find_map(|change| match change {
            Change::Mark(at, mark) if *at == link => Some(*mark),
            _ => None,
        });
        Ok(staged.or_else(|| self.durable.marks.get(&link).copied()))
    }

    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), PowerLost> {
        self.staged.push(Change::Mark(link, mark));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PowerLost> {
        match &mut self.fail_commit {
            Some((0, keep)) => {
                let keep = (*keep).min(self.staged.len());
                for change in self.staged.drain(..keep) {
                    self.durable.apply(change);
                }
                return Err(PowerLost);
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        self.commits += 1;
        for change in self.staged.drain(..) {
            self.durable.apply(change);
        }
        Ok(())
    }
}
