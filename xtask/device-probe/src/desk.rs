//! A storage in RAM with a device's bounds: what a flash driver adds is not the core's.

use core::convert::Infallible;

use heapless::Vec;
use hushwire_core::identity::Address;
use hushwire_core::limits::DEVICE_MAX_SKIP;
use hushwire_core::peer::{Conversation, Peer};
use hushwire_core::prekey::Prekeys;
use hushwire_core::session::Kind;
use hushwire_core::storage::{Event, Incoming, OutboxEntry, OutboxState, RelayMark, Storage, Wake};
use hushwire_core::wire::MessageId;

use crate::start::DeviceSession;

/// Bytes of the largest message that waits here.
const BODY: usize = 256;

struct Waiting {
    entry: OutboxEntry,
    body: Vec<u8, BODY>,
}

/// One contact, its second session, and a short outbox.
pub(crate) struct Desk {
    peer: Peer<DEVICE_MAX_SKIP>,
    tentative: Option<DeviceSession>,
    outbox: Vec<Waiting, 4>,
    seen: Vec<MessageId, 8>,
    mark: Option<RelayMark>,
    /// Messages that were recorded.
    pub(crate) received: usize,
}

impl Desk {
    pub(crate) const fn new(peer: Peer<DEVICE_MAX_SKIP>) -> Self {
        Self {
            peer,
            tentative: None,
            outbox: Vec::new(),
            seen: Vec::new(),
            mark: None,
            received: 0,
        }
    }

    fn position(&self, to: &Address, id: MessageId) -> Option<usize> {
        let mut all = self.outbox.iter();
        all.position(|one| (one.entry.to, one.entry.id) == (*to, id))
    }

    fn serves(links: u32, entry: &OutboxEntry) -> bool {
        links & (1 << entry.link) != 0
    }
}

impl Storage<DEVICE_MAX_SKIP> for Desk {
    type Error = Infallible;

    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, DEVICE_MAX_SKIP>>, Infallible> {
        Ok((self.peer.address == *who).then_some(Conversation {
            peer: &mut self.peer,
            tentative: Some(&mut self.tentative),
        }))
    }

    fn create(&mut self, _: Peer<DEVICE_MAX_SKIP>) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn save(&mut self, _: &Address) -> Result<(), Infallible> {
        Ok(())
    }

    fn save_own<const N: usize>(&mut self, _: &Prekeys<N>) -> Result<(), Infallible> {
        Ok(())
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, Infallible> {
        let Ok(body) = Vec::from_slice(body) else {
            return Ok(false);
        };
        let waiting = Waiting {
            entry: *entry,
            body,
        };
        match self.position(&entry.to, entry.id) {
            Some(at) => self.outbox[at] = waiting,
            None => return Ok(self.outbox.push(waiting).is_ok()),
        }
        Ok(true)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), Infallible> {
        let open = |one: &&mut Waiting| one.entry.kind == Kind::RECEIPT && one.entry.attempts == 0;
        match self.outbox.iter_mut().find(open) {
            Some(one) => one.body.extend_from_slice(&id.0).expect("there is room"),
            None => assert!(self.push(fresh, &id.0)?),
        }
        Ok(())
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, Infallible> {
        let mut all = self.outbox.iter().map(|one| one.entry);
        Ok(all.find(|entry| entry.due <= now && Self::serves(links, entry)))
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, Infallible> {
        let all = self.outbox.iter().map(|one| one.entry);
        let served = all.filter(|entry| Self::serves(links, entry));
        Ok(served.map(|entry| entry.due).min())
    }

    fn body(&mut self, to: &Address, id: MessageId, out: &mut [u8]) -> Result<usize, Infallible> {
        let Some(at) = self.position(to, id) else {
            return Ok(0);
        };
        let body = &self.outbox[at].body;
        out[..body.len()].copy_from_slice(body);
        Ok(body.len())
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, Infallible> {
        Ok(self.position(to, id).map(|at| self.outbox[at].entry))
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), Infallible> {
        if let Some(at) = self.position(&entry.to, entry.id) {
            self.outbox[at].entry = *entry;
        }
        Ok(())
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), Infallible> {
        if let Some(at) = self.position(to, id) {
            self.outbox.remove(at);
        }
        Ok(())
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), Infallible> {
        let before = match which {
            Wake::Before(to, id) => self.position(to, id).unwrap_or(0),
            Wake::Link(_) | Wake::Custody(_) | Wake::Peer(_) => self.outbox.len(),
        };
        for one in &mut self.outbox[..before] {
            let hit = match which {
                Wake::Link(_) => one.entry.state == OutboxState::Queued,
                Wake::Peer(_) => true,
                Wake::Custody(_) | Wake::Before(..) => one.entry.state == OutboxState::Accepted,
            };
            if hit {
                one.entry.due = one.entry.due.min(due);
            }
        }
        Ok(())
    }

    fn seen(&mut self, _: &Address, id: MessageId) -> Result<bool, Infallible> {
        Ok(self.seen.contains(&id))
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Infallible> {
        self.seen.push(message.id).expect("there is room");
        self.received += 1;
        Ok(())
    }

    fn event(&mut self, _: Event) -> Result<(), Infallible> {
        Ok(())
    }

    fn relay_mark(&mut self, _: u8) -> Result<Option<RelayMark>, Infallible> {
        Ok(self.mark)
    }

    fn save_relay_mark(&mut self, _: u8, mark: RelayMark) -> Result<(), Infallible> {
        self.mark = Some(mark);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
