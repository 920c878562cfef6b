//! Endpoints, a relay that may do anything, and a clock in the hand.

use std::collections::{BTreeMap, VecDeque};

use hushwire_core::{
    endpoint::{Cx, EndpointError},
    identity::Address,
    limits::OVERTAKEN_MS,
    storage::Event,
    wire::{
        EnvelopeId, MessageId,
        answer::{Answer, NoticeKind, Welcome},
        reason::Reason,
        request::Request,
    },
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

#[allow(unused_imports, reason = "each test file uses the part that it needs")]
pub use super::{
    device::{Device, PREKEYS, Size},
    node::{LINK, Node},
};

/// A message waiting in a mailbox.
#[derive(Clone, Debug)]
pub struct Stored {
    pub sequence: u64,
    pub sender: Address,
    pub envelope: Vec<u8>,
    pub offered: bool,
}

#[derive(Default)]
pub struct Mailbox {
    pub messages: VecDeque<Stored>,
    pub sequence: u64,
    pub bundle: Vec<u8>,
    pub counter: u64,
    pub prekeys: VecDeque<(u32, [u8; 33])>,
    pub notices: BTreeMap<(NoticeKind, Address), u32>,
}

pub struct World {
    pub nodes: Vec<Node>,
    pub relay: BTreeMap<Address, Mailbox>,
    pub now: u64,
    /// The name of the relay's store.
    pub epoch: u64,
    pub rng: ChaCha20Rng,
    /// Every submission, for attackers that keep everything.
    pub recorded: Vec<(Address, Address, Vec<u8>)>,
    pub record: bool,
}

impl World {
    /// Hosts and devices of every size, mixed otherwise with every seed.
    pub fn new(count: u8, seed: u64) -> Self {
        const SIZES: [Size; 3] = [Size::Host, Size::Small, Size::SmallWithTwoLinks];
        let sizes = (0..u64::from(count)).map(|at| SIZES[((seed + at) % 3) as usize]);
        Self::of_sizes(&sizes.collect::<Vec<_>>(), seed)
    }

    pub fn of_sizes(sizes: &[Size], seed: u64) -> Self {
        let now = 1_000_000;
        let nodes = (1..).zip(sizes);
        let mut world = Self {
            nodes: nodes
                .map(|(seed, size)| Node::of_size(*size, seed, false, now))
                .collect(),
            relay: BTreeMap::new(),
            now,
            epoch: 1,
            rng: ChaCha20Rng::seed_from_u64(seed),
            recorded: Vec::new(),
            record: false,
        };
        let all: Vec<_> = world.nodes.iter().map(|node| node.address).collect();
        for node in &mut world.nodes {
            let own = node.address;
            for other in all.iter().filter(|other| **other != own) {
                node.add_contact(*other);
            }
        }
        world
    }

    pub fn random(&mut self, below: usize) -> usize {
        (self.rng.next_u64() % below as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.random(100) < percent
    }

    pub fn send(&mut self, from: usize, to: usize, body: &[u8]) -> Option<MessageId> {
        let to = self.nodes[to].address;
        let now = self.now;
        let Node {
            device, store, rng, ..
        } = &mut self.nodes[from];
        device.send(&mut Cx { store, rng, now }, &to, body).ok()
    }

    pub fn connect(&mut self, at: usize) {
        if self.nodes[at].up {
            return;
        }
        let address = self.nodes[at].address;
        let mailbox = self.relay.entry(address).or_default();
        mailbox
            .messages
            .iter_mut()
            .for_each(|message| message.offered = false);
        let welcome = Welcome {
            epoch: self.epoch,
            next_sequence: mailbox.sequence,
            unix_seconds: self.now / 1000,
            waiting: mailbox.messages.len() as u32,
            prekeys: mailbox.prekeys.len() as u16,
            bundle_counter: mailbox.counter,
        };
        let notices: Vec<_> = mailbox
            .notices
            .iter()
            .map(|(key, count)| (*key, *count))
            .collect();
        self.nodes[at].up = true;
        self.nodes[at].inbound.clear();
        self.answer(at, &Answer::Welcome(welcome));
        for ((kind, peer), count) in notices {
            self.answer(at, &Answer::Notice { kind, peer, count });
        }
    }

    /// An older copy of the relay's store is brought back: what waited for `owner` is not in it. A node
    /// that comes then has a message in custody, and hands it over again after a moment.
    pub fn goes_back_and_is_given_again(&mut self, at: usize, owner: usize) {
        let owner = self.nodes[owner].address;
        self.disconnect(at);
        self.relay.get_mut(&owner).unwrap().messages.clear();
        self.epoch += 1;
        self.connect(at);
        self.pump(at, 9);
        assert!(self.relay[&owner].messages.is_empty(), "not at once");
        self.now += OVERTAKEN_MS;
        self.pump(at, 9);
        assert_eq!(self.relay[&owner].messages.len(), 1);
    }

    pub fn disconnect(&mut self, at: usize) {
        let now = self.now;
        let Node {
            device,
            store,
            rng,
            up,
            inbound,
            ..
        } = &mut self.nodes[at];
        if std::mem::take(up) {
            inbound.clear();
            device
                .disconnected(&mut Cx { store, rng, now }, LINK)
                .unwrap();
        }
    }

    fn answer(&mut self, at: usize, answer: &Answer<'_>) {
        let mut frame = vec![0; 20_000];
        let len = answer.emit(&mut frame).unwrap();
        frame.truncate(len);
        self.nodes[at].inbound.push_back(frame);
    }

    pub fn index(&self, address: &Address) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == *address)
    }

    /// Lets the relay offer what waits, up to the window.
    pub fn offer(&mut self, at: usize) {
        let Node { address, size, .. } = self.nodes[at];
        let mailbox = self.relay.entry(address).or_default();
        let open = mailbox
            .messages
            .iter()
            .filter(|message| message.offered)
            .count();
        let mut frames = Vec::new();
        let waiting = mailbox
            .messages
            .iter_mut()
            .filter(|message| !message.offered);
        for message in waiting.take(size.window().saturating_sub(open)) {
            message.offered = true;
            frames.push(message.clone());
        }
        for message in frames {
            let deliver = Answer::Deliver {
                sequence: message.sequence,
                stored_at: self.now / 1000,
                sender: message.sender,
                envelope: &message.envelope,
            };
            self.answer(at, &deliver);
        }
    }

    pub fn store_envelope(&mut self, to: Address, sender: Address, envelope: Vec<u8>) {
        let mailbox = self.relay.entry(to).or_default();
        let message = Stored {
            sequence: mailbox.sequence,
            sender,
            envelope,
            offered: false,
        };
        mailbox.sequence += 1;
        mailbox.messages.push_back(message);
    }

    /// The relay serves one request of a node.
    pub fn serve(&mut self, at: usize, frame: &[u8]) {
        let from = self.nodes[at].address;
        match Request::parse(frame).unwrap() {
            Request::Submit { to, envelope } => {
                if self.record {
                    self.recorded.push((from, to, envelope.to_vec()));
                }
                self.store_envelope(to, from, envelope.to_vec());
                self.answer(at, &Answer::Accepted(EnvelopeId::of(envelope)));
            }
            Request::Ack(id) => self.delete(&from, &id),
            Request::Refuse(id) => {
                let mailbox = self.relay.entry(from).or_default();
                let refused = mailbox
                    .messages
                    .iter()
                    .find(|m| EnvelopeId::of(&m.envelope) == id)
                    .cloned();
                self.delete(&from, &id);
                if let Some(message) = refused {
                    self.notify(message.sender, NoticeKind::Unopened, from, 1);
                }
            }
            Request::Publish { number, bundle } => {
                let mailbox = self.relay.entry(from).or_default();
                mailbox.bundle = bundle.to_vec();
                mailbox.counter = hushwire_core::wire::bundle::Bundle::parse(bundle)
                    .unwrap()
                    .counter;
                self.answer(at, &Answer::Done { number });
            }
            Request::Prekeys { number, keys } => {
                self.relay.entry(from).or_default().prekeys = keys.iter().collect();
                self.answer(at, &Answer::Done { number });
            }
            Request::Fetch { number, address } => {
                let mailbox = self.relay.entry(address).or_default();
                if mailbox.bundle.is_empty() {
                    let reason = Reason::NotFound;
                    self.answer(
                        at,
                        &Answer::Failed {
                            number,
                            reason,
                            retry_after: 0,
                        },
                    );
                    return;
                }
                let bundle = mailbox.bundle.clone();
                let prekey = mailbox.prekeys.pop_front();
                let left = mailbox.prekeys.len() as u32;
                self.answer(
                    at,
                    &Answer::Bundle {
                        number,
                        address,
                        prekey,
                        bundle: &bundle,
                    },
                );
                if let Some(owner) = self.index(&address).filter(|at| self.nodes[*at].up) {
                    let (kind, peer) = (NoticeKind::PrekeysLeft, Address::ZERO);
                    self.answer(
                        owner,
                        &Answer::Notice {
                            kind,
                            peer,
                            count: left,
                        },
                    );
                }
            }
            Request::Noted { kind, peer, count } => {
                let notices = &mut self.relay.entry(from).or_default().notices;
                if let Some(open) = notices.get_mut(&(kind, peer)) {
                    *open = open.saturating_sub(count);
                    if *open == 0 {
                        notices.remove(&(kind, peer));
                    }
                }
            }
            other => panic!("an endpoint does not ask {other:?}"),
        }
    }

    pub fn notify(&mut self, who: Address, kind: NoticeKind, peer: Address, count: u32) {
        *self
            .relay
            .entry(who)
            .or_default()
            .notices
            .entry((kind, peer))
            .or_default() += count;
        if let Some(at) = self.index(&who).filter(|at| self.nodes[*at].up) {
            self.answer(at, &Answer::Notice { kind, peer, count });
        }
    }

    fn delete(&mut self, owner: &Address, id: &EnvelopeId) {
        let messages = &mut self.relay.entry(*owner).or_default().messages;
        if let Some(at) = messages
            .iter()
            .position(|m| EnvelopeId::of(&m.envelope) == *id)
        {
            messages.remove(at);
        }
    }

    /// Moves a node on: up to `frames` frames in, everything due out. On a loss of power inside, the
    /// node reboots.
    pub fn pump(&mut self, at: usize, frames: usize) {
        if !self.nodes[at].up {
            return;
        }
        self.offer(at);
        for _ in 0..frames {
            let Some(mut frame) = self.nodes[at].inbound.pop_front() else {
                break;
            };
            let now = self.now;
            let Node {
                device, store, rng, ..
            } = &mut self.nodes[at];
            match device.handle_frame(&mut Cx { store, rng, now }, LINK, &mut frame) {
                Ok(_) => {}
                Err(EndpointError::Busy) => self.nodes[at].inbound.push_front(frame),
                Err(EndpointError::Storage(_)) => return self.nodes[at].lose_power(0),
                Err(error) => panic!("{error:?}"),
            }
            if !self.transmit(at) {
                return;
            }
        }
        self.transmit(at);
    }

    fn transmit(&mut self, at: usize) -> bool {
        let mut out = vec![0; 4096];
        for _ in 0..200 {
            let now = self.now;
            let Node {
                device, store, rng, ..
            } = &mut self.nodes[at];
            match device.poll_transmit(&mut Cx { store, rng, now }, LINK, &mut out) {
                Ok(Some(len)) => {
                    let frame = out[..len].to_vec();
                    self.serve(at, &frame);
                }
                Ok(None) => return true,
                Err(EndpointError::Storage(_)) => {
                    self.nodes[at].lose_power(0);
                    return false;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        true
    }

    /// Everybody online, no faults, until nothing moves; then the clock goes on, up to `days`.
    pub fn settle(&mut self, days: u64) {
        let end = self.now + days * 24 * 3600 * 1000;
        loop {
            for _ in 0..50 {
                for at in 0..self.nodes.len() {
                    self.connect(at);
                    self.pump(at, 64);
                }
                let read = self
                    .relay
                    .values()
                    .all(|mailbox| mailbox.messages.is_empty());
                if read && self.nodes.iter().all(|node| node.inbound.is_empty()) {
                    break;
                }
            }
            let quiet = self
                .nodes
                .iter()
                .all(|node| node.inbound.is_empty() && node.store.outbox().next().is_none());
            if quiet || self.now >= end {
                return;
            }
            // To the next moment at which somebody has something to do.
            let mut next = self.now + 3600 * 1000;
            for node in &mut self.nodes {
                let now = self.now;
                let Node {
                    device, store, rng, ..
                } = node;
                if let Some(due) = device.poll_timeout(&mut Cx { store, rng, now }).unwrap() {
                    next = next.min(due.max(now + 1));
                }
            }
            self.now = next;
        }
    }

    pub fn inbox(&self, at: usize) -> Vec<Vec<u8>> {
        self.nodes[at]
            .store
            .durable
            .inbox
            .iter()
            .map(|message| message.body.clone())
            .collect()
    }

    pub fn events(&self, at: usize) -> &[Event] {
        &self.nodes[at].store.events
    }
}
