//! A life that meets everything: what power cuts are swept over.

use std::collections::BTreeMap;

use hushwire_core::{
    endpoint::{Cx, SendError},
    identity::Address,
    session::Kind,
    storage::{Event, Storage as _},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    mirror::position,
    node::{Counter, Flash, Node, OUTBOX},
    world::World,
};

pub const VICTIM: usize = 0;
pub const FRIEND: usize = 1;
pub const CALLER: usize = 2;

/// The world with its ledger.
pub struct Life {
    pub world: World,
    /// From, to, body.
    pub sent: Vec<(usize, usize, Vec<u8>)>,
    /// How far each sending chain of the victim was seen to be used, by its public key.
    used: BTreeMap<String, u32>,
    boots: usize,
}

impl Life {
    /// Three devices; the victim's chip as it is given.
    pub fn begin(chip: Flash) -> Self {
        let now = 1_000_000;
        let nodes = vec![
            Node::on(chip, 1, false, now, Counter(None)),
            Node::new(2, false, now),
            Node::new(3, false, now),
        ];
        let world = World {
            epoch: 1,
            nodes,
            relay: BTreeMap::new(),
            now,
            rng: ChaCha20Rng::seed_from_u64(7),
            recorded: Vec::new(),
            record: false,
        };
        let mut life = Self {
            world,
            sent: Vec::new(),
            used: BTreeMap::new(),
            boots: 0,
        };
        let all: Vec<Address> = life.world.nodes.iter().map(|node| node.address).collect();
        for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            life.world.nodes[a].add_contact(all[b]);
        }
        life
    }

    /// No chain of the victim stands behind where it was used.
    pub fn check_chains(&mut self) {
        let node = &self.world.nodes[VICTIM];
        let booted = std::mem::replace(&mut self.boots, node.boots.len()) != node.boots.len();
        let peers = node.store.inner.as_ref().unwrap().contacts();
        for session in peers.filter_map(|peer| peer.session.as_ref()) {
            let Some((key, n)) = position(session) else {
                continue;
            };
            let used = self.used.entry(key).or_default();
            assert!(n >= *used, "a message key would repeat: {n} after {used}");
            // What was sealed and did not leave may be sealed again; what is in RAM is as good as
            // gone out.
            if !booted {
                *used = n;
            }
        }
    }

    pub fn turn(&mut self, at: usize) {
        self.world.connect(at);
        // One frame at a time: each commit is met with as little in it as can be.
        for _ in 0..12 {
            self.world.pump(at, 1);
            self.check_chains();
        }
    }

    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            for at in [VICTIM, FRIEND, CALLER] {
                self.turn(at);
            }
        }
    }

    /// Sends, and where the power goes sends again, unless it was stored.
    pub fn send(&mut self, from: usize, to: usize, body: &[u8]) -> bool {
        let now = self.world.now;
        let address = self.world.nodes[to].address;
        for _ in 0..4 {
            let Node {
                device, store, rng, ..
            } = &mut self.world.nodes[from];
            match device.send(&mut Cx { store, rng, now }, &address, body) {
                Ok(_) => {
                    self.sent.push((from, to, body.to_vec()));
                    return true;
                }
                Err(SendError::OutboxFull) => return false,
                Err(SendError::Storage(_)) => {
                    self.world.nodes[from].lose_power(0);
                    self.check_chains();
                    if waits(&mut self.world.nodes[from], &address, body) {
                        self.sent.push((from, to, body.to_vec()));
                        return true;
                    }
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("the message does not go out");
    }

    pub fn lose_power(&mut self, at: usize) {
        self.world.nodes[at].lose_power(0);
        self.check_chains();
    }

    /// What the rows name: both roles, steps, bursts, gaps, restarts, a full outbox.
    pub fn everything(&mut self) {
        self.turns(1);
        self.send(VICTIM, FRIEND, b"the victim starts");
        self.turns(3);
        self.send(CALLER, VICTIM, b"the victim is started with");
        self.turns(3);
        for n in 0..3_u8 {
            self.send(VICTIM, FRIEND, &[n; 20]);
            self.turns(1);
            self.send(FRIEND, VICTIM, &[n; 60]);
            self.turns(1);
        }
        self.turns(1);
        // A burst each way, beyond one reservation; the victim's comes out of order and with a gap.
        for n in 0..11_u8 {
            self.send(VICTIM, FRIEND, &[0x40 | n; 33]);
            self.send(FRIEND, VICTIM, &[0x60 | n; 33]);
        }
        self.turn(FRIEND);
        let address = self.world.nodes[VICTIM].address;
        let mailbox = self.world.relay.get_mut(&address).unwrap();
        mailbox.messages.make_contiguous().reverse();
        mailbox.messages.remove(2);
        mailbox.messages.remove(3);
        self.turns(2);
        self.lose_power(VICTIM);
        self.turns(2);
        // Away, until the outbox is full; long bodies among it.
        self.world.disconnect(VICTIM);
        let mut accepted = 0;
        for n in 0..OUTBOX as u8 + 2 {
            let len = if n % 5 == 0 { 300 } else { 40 };
            accepted += usize::from(self.send(VICTIM, FRIEND, &vec![0x80 | n; len]));
        }
        assert!(accepted < OUTBOX + 2);
        self.lose_power(VICTIM);
        self.turns(3);
        self.send(CALLER, VICTIM, &[0xee; 700]);
        self.send(VICTIM, CALLER, b"and back");
        self.turns(3);
        self.finish();
    }

    /// Everything quiet; each message stands in its inbox once.
    pub fn finish(&mut self) {
        self.world.settle(8);
        self.check_chains();
        for (from, to, body) in &self.sent {
            let sender = self.world.nodes[*from].address;
            let inbox = &self.world.nodes[*to].store.durable.inbox;
            let same = inbox.iter().filter(|m| m.from == sender && m.body == *body);
            assert_eq!(same.count(), 1, "{from} to {to}: {:?}", &body[..4]);
        }
        let all: usize = self
            .world
            .nodes
            .iter()
            .map(|n| n.store.durable.inbox.len())
            .sum();
        assert_eq!(all, self.sent.len());
    }

    /// Conversations that began anew, on either side.
    pub fn restarts(&mut self) -> usize {
        self.world.nodes.iter_mut().for_each(Node::keep_events);
        let events = self
            .world
            .nodes
            .iter()
            .flat_map(|node| &node.lasting_events);
        events
            .filter(|event| matches!(event, Event::Restarted { .. }))
            .count()
    }
}

/// Whether the outbox holds a message with this body.
fn waits(node: &mut Node, to: &Address, body: &[u8]) -> bool {
    let entries: Vec<_> = node.store.outbox().collect();
    let mut buffer = vec![0; 1024];
    entries.iter().any(|entry| {
        entry.to == *to && entry.kind == Kind::DATA && {
            let len = node.store.body(to, entry.id, &mut buffer).unwrap();
            buffer[..len] == *body
        }
    })
}
