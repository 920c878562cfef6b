//! What an attacker does with a [`World`]: deliver what it likes, look at verdicts and at state.

use hushwire_core::{
    crypto::{
        PublicKey, Software,
        kdf::{label, sha256},
    },
    endpoint::{Cx, EndpointError, Handled},
    handshake::Initiator,
    identity::{Address, IdentityKeys as _, SoftwareIdentity},
    peer::{Conversation, Peer, Standing},
    session::Position,
    storage::{Event, OutboxEntry, Storage as _},
    wire::{
        EnvelopeId, MessageId, answer::Answer, bundle::Bundle, envelope::kind, request::Request,
    },
};

use super::{
    Party, Ses,
    store::{MemoryStore, PowerLost, SKIP},
    world::{LINK, Node, World},
};

pub const HOUR: u64 = 60 * 60 * 1000;
pub const DAY: u64 = 24 * HOUR;

/// What a device said of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Acked,
    Refused,
}

/// A figure of a scaled-down run: its everyday value, or what the environment says.
pub fn size(name: &str, everyday: u64) -> u64 {
    std::env::var(name).map_or(everyday, |text| text.parse().unwrap())
}

pub fn frame(answer: &Answer<'_>) -> Vec<u8> {
    let mut frame = vec![0; 20_000];
    let len = answer.emit(&mut frame).unwrap();
    frame.truncate(len);
    frame
}

/// Gives a device one frame.
pub fn feed(
    node: &mut Node,
    now: u64,
    bytes: &mut [u8],
) -> Result<Handled, EndpointError<PowerLost>> {
    feed_on(node, now, LINK, bytes)
}

/// Gives a device one frame of a link.
pub fn feed_on(
    node: &mut Node,
    now: u64,
    link: u8,
    bytes: &mut [u8],
) -> Result<Handled, EndpointError<PowerLost>> {
    let Node {
        device, store, rng, ..
    } = node;
    device.handle_frame(&mut Cx { store, rng, now }, link, bytes)
}

/// The next frame that a device sends.
pub fn next_frame(node: &mut Node, now: u64) -> Option<Vec<u8>> {
    next_on(node, now, LINK)
}

/// The next frame that a device sends over a link.
pub fn next_on(node: &mut Node, now: u64, link: u8) -> Option<Vec<u8>> {
    let mut out = vec![0; 4096];
    let Node {
        device, store, rng, ..
    } = node;
    let len = device.poll_transmit(&mut Cx { store, rng, now }, link, &mut out);
    out.truncate(len.unwrap()?);
    Some(out)
}

/// Everything that a device keeps of a contact, sessions included.
pub fn state(node: &mut Node, who: &Address) -> Vec<u8> {
    let mut bytes = vec![0; Conversation::<SKIP>::MAX_ENCODED];
    let Some(mut conversation) = node.store.conversation(who).unwrap() else {
        return Vec::new();
    };
    let len = conversation.encode(Position::Reserved, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// A digest of the same, without the counts of unopened and refused envelopes: those are there to
/// change.
pub fn state_but_suspicion(node: &mut Node, who: &Address) -> EnvelopeId {
    let mut bytes = state(node, who);
    // format, address, standing, link, flag, keys, counter, suites, started at: then the counts
    let at = 1 + 20 + 1 + 1 + 1 + 66 + 8 + 4 + 8;
    if let Some(counts) = bytes.get_mut(at..at + 2) {
        counts.fill(0);
    }
    EnvelopeId::of(&bytes)
}

/// Signs a bundle whose bytes before the signature are anybody's wish.
pub fn sign_bundle(signer: &mut SoftwareIdentity, owner: &Address, unsigned: &[u8]) -> Vec<u8> {
    let digest = sha256(&[label::BUNDLE, &owner.0, unsigned]);
    let signature = signer.sign(&mut Software, &digest, &[]).unwrap();
    [unsigned, &signature.0].concat()
}

pub fn is_start(envelope: &[u8]) -> bool {
    envelope[2] != kind::MESSAGE
}

impl MemoryStore {
    /// What waits for a recipient goes over another link from now on.
    pub fn move_outbox(&mut self, to: &Address, link: u8) {
        let theirs: Vec<_> = self.outbox().filter(|e| e.to == *to).copied().collect();
        for entry in theirs {
            self.update(&OutboxEntry { link, ..entry }).unwrap();
        }
    }
}

impl World {
    /// Two to four devices that all know each other, and have published.
    pub fn published(count: u8, seed: u64) -> Self {
        let mut world = Self::new(count, seed);
        world.record = true;
        world.settle(1);
        world
    }

    /// A message each way: both sides hold one confirmed session.
    pub fn acquaint(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            self.send(from, to, b"acquaintance").unwrap();
            self.settle(1);
        }
        assert!(self.is_confirmed(one, other) && self.is_confirmed(other, one));
    }

    pub fn send_to(&mut self, from: usize, to: &Address, body: &[u8]) -> Option<MessageId> {
        let now = self.now;
        let Node {
            device, store, rng, ..
        } = &mut self.nodes[from];
        device.send(&mut Cx { store, rng, now }, to, body).ok()
    }

    /// When a device wants to be called again.
    pub fn timeout(&mut self, at: usize) -> Option<u64> {
        let now = self.now;
        let Node {
            device, store, rng, ..
        } = &mut self.nodes[at];
        device.poll_timeout(&mut Cx { store, rng, now }).unwrap()
    }

    pub fn is_confirmed(&self, at: usize, with: usize) -> bool {
        let peer = self.peer(at, with);
        peer.session.as_ref().is_some_and(|s| s.is_confirmed())
    }

    pub fn peer(&self, at: usize, with: usize) -> &Peer<SKIP> {
        let who = self.nodes[with].address;
        self.nodes[at].store.peer(&who).unwrap()
    }

    /// The relay delivers `envelope` to a device, in `sender`'s name.
    pub fn deliver(&mut self, at: usize, sender: Address, envelope: &[u8]) -> Verdict {
        self.connect(at);
        let waiting = self.withhold(at);
        let address = self.nodes[at].address;
        self.store_envelope(address, sender, envelope.to_vec());
        self.pump(at, 0);
        let (id, now) = (EnvelopeId::of(envelope), self.now);
        let mut verdict = None;
        while let Some(mut bytes) = self.nodes[at].inbound.pop_front() {
            feed(&mut self.nodes[at], now, &mut bytes).unwrap();
            while let Some(bytes) = next_frame(&mut self.nodes[at], now) {
                match Request::parse(&bytes).unwrap() {
                    Request::Ack(named) if named == id => verdict = Some(Verdict::Acked),
                    Request::Refuse(named) if named == id => verdict = Some(Verdict::Refused),
                    Request::Ack(other) | Request::Refuse(other) => {
                        panic!("{other} was not delivered")
                    }
                    _ => {}
                }
                self.serve(at, &bytes);
            }
        }
        for (sender, envelope) in waiting {
            self.store_envelope(address, sender, envelope);
        }
        verdict.expect("every delivery is answered")
    }

    /// Somebody with `party`'s keys starts a session with a device, on what the relay hands out.
    pub fn start_as(&mut self, party: &mut Party, with: usize, one_time: bool) -> Ses {
        let owner = self.nodes[with].address;
        let mailbox = self.relay.get_mut(&owner).unwrap();
        let prekey = if one_time {
            mailbox.prekeys.pop_front()
        } else {
            None
        };
        let bundle = Bundle::parse(&mailbox.bundle).unwrap();
        let verified = bundle.verify(&mut Software, &owner).unwrap();
        let prekey = prekey.map(|(id, point)| {
            let point = PublicKey::parse(&mut Software, &point).unwrap();
            (id, point)
        });
        Initiator::new(&party.public, &verified, 1024)
            .unwrap()
            .start(&mut Software, &mut party.rng, &mut party.identity, prekey)
            .unwrap()
    }

    /// Takes what waits in a mailbox out of the relay's hands.
    pub fn withhold(&mut self, at: usize) -> Vec<(Address, Vec<u8>)> {
        let address = self.nodes[at].address;
        let mailbox = self.relay.entry(address).or_default();
        let messages = mailbox.messages.drain(..);
        messages.map(|m| (m.sender, m.envelope)).collect()
    }

    /// What a device has sealed to another so far, oldest first.
    pub fn sealed(&self, from: usize, to: usize) -> Vec<Vec<u8>> {
        let (from, to) = (self.nodes[from].address, self.nodes[to].address);
        let theirs = self
            .recorded
            .iter()
            .filter(|(f, t, _)| (*f, *t) == (from, to));
        theirs.map(|(.., envelope)| envelope.clone()).collect()
    }

    /// Everybody online, no faults, minute by minute.
    pub fn minutes(&mut self, count: u64) {
        for _ in 0..count {
            for _ in 0..4 {
                for at in 0..self.nodes.len() {
                    self.connect(at);
                    self.pump(at, 64);
                }
            }
            self.now += 60 * 1000;
        }
    }

    /// A device connects and says what it has to say, and hears nothing but answers.
    pub fn speak(&mut self, at: usize) {
        self.connect(at);
        for _ in 0..4 {
            self.pump(at, 64);
        }
    }

    pub fn restarts(&self, at: usize) -> usize {
        let is_restart = |event: &&Event| matches!(event, Event::Restarted { .. });
        self.told(at).filter(is_restart).count()
    }

    /// What was told to the application, over all starts of the device.
    pub fn told(&self, at: usize) -> impl Iterator<Item = &Event> {
        let node = &self.nodes[at];
        node.lasting_events.iter().chain(&node.store.events)
    }

    pub fn bodies_from(&self, at: usize, sender: usize) -> Vec<Vec<u8>> {
        let sender = self.nodes[sender].address;
        let inbox = &self.nodes[at].store.durable.inbox;
        let theirs = inbox.iter().filter(|message| message.from == sender);
        theirs.map(|message| message.body.clone()).collect()
    }

    /// A device loses what it held with another, and nothing else.
    pub fn lose_session(&mut self, at: usize, with: usize) {
        let who = self.nodes[with].address;
        let conversation = self.nodes[at].store.conversation(&who).unwrap();
        conversation.unwrap().peer.session = None;
    }

    /// A device forgets its suspicions of another.
    pub fn trust(&mut self, at: usize, whom: usize) {
        let who = self.nodes[whom].address;
        let conversation = self.nodes[at].store.conversation(&who).unwrap().unwrap();
        conversation.peer.unopened = 0;
        conversation.peer.refused = 0;
    }

    pub fn block(&mut self, at: usize, whom: usize) {
        let who = self.nodes[whom].address;
        let store = &mut self.nodes[at].store;
        store.conversation(&who).unwrap().unwrap().peer.standing = Standing::Blocked;
    }
}
