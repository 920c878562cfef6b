//! C4: conversations cannot wedge.
//!
//! Two to four devices write to each other through a relay that drops, doubles, reorders, delays and
//! corrupts, while links break, power fails between any two staged writes, half a mailbox expires
//! and both sides start at once. Then the faults end, the clock goes on, and every plaintext must
//! stand in its recipient's inbox exactly once, unaltered, or have been reported as failed.
//!
//! `HUSHWIRE_OPS` operations in all (100,000 by default), from `HUSHWIRE_SEED` on. A failure prints
//! the seed that repeats it.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::world::World;
use hushwire_core::{
    identity::Address,
    storage::Event,
    wire::{MessageId, answer::NoticeKind},
};

#[derive(Default, Debug)]
struct Counts {
    operations: u64,
    sends: u64,
    recorded: u64,
    failed: u64,
    dropped: u64,
    doubled: u64,
    reordered: u64,
    corrupted: u64,
    expired: u64,
    power_lost: u64,
    links_lost: u64,
    steps: u64,
    restarts: u64,
}

/// What was sent and must arrive.
type Ledger = BTreeMap<(Address, Address, MessageId), Vec<u8>>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn mailbox_fault(world: &mut World, counts: &mut Counts) {
    let at = world.random(world.nodes.len());
    let owner = world.nodes[at].address;
    let (percent, place, other) = (world.random(100), world.random(64), world.random(64));
    let flip = world.random(1 << 16);
    let Some(mailbox) = world.relay.get_mut(&owner) else {
        return;
    };
    let len = mailbox.messages.len();
    if len == 0 {
        return;
    }
    let (place, other) = (place % len, other % len);
    match percent {
        0..35 => {
            mailbox.messages.remove(place);
            counts.dropped += 1;
        }
        35..60 => {
            let mut copy = mailbox.messages[place].clone();
            copy.offered = false;
            mailbox.messages.push_back(copy);
            counts.doubled += 1;
        }
        60..85 => {
            mailbox.messages.swap(place, other);
            counts.reordered += 1;
        }
        85..97 => {
            let envelope = &mut mailbox.messages[place].envelope;
            let bit = flip % (envelope.len() * 8);
            envelope[bit / 8] ^= 1 << (bit % 8);
            counts.corrupted += 1;
        }
        _ => {
            // Half of it expires, and the relay tells both sides.
            let gone: Vec<_> = mailbox.messages.drain(..len.div_ceil(2)).collect();
            counts.expired += gone.len() as u64;
            for message in gone {
                world.notify(message.sender, NoticeKind::SentExpired, owner, 1);
                world.notify(owner, NoticeKind::ReceivedExpired, message.sender, 1);
            }
        }
    }
}

fn operation(world: &mut World, ledger: &mut Ledger, counts: &mut Counts) {
    let nodes = world.nodes.len();
    let at = world.random(nodes);
    match world.random(1000) {
        0..260 => {
            let to = (at + 1 + world.random(nodes - 1)) % nodes;
            let len = world.random(200);
            let mut body = vec![0; len];
            rand_core::Rng::fill_bytes(&mut world.rng, &mut body);
            if let Some(id) = world.send(at, to, &body) {
                let key = (world.nodes[at].address, world.nodes[to].address, id);
                ledger.insert(key, body);
                counts.sends += 1;
            }
        }
        260..800 => {
            world.connect(at);
            let frames = 1 + world.random(8);
            world.pump(at, frames);
        }
        800..850 => {
            counts.links_lost += u64::from(world.nodes[at].up);
            world.disconnect(at);
        }
        850..880 => {
            // The power goes between calls: any prefix of what was staged survives.
            let keep = world.random(4);
            world.nodes[at].lose_power(keep);
            counts.power_lost += 1;
        }
        880..890 => {
            // The power goes inside a call, at some commit to come.
            let (left, keep) = (world.random(4) as u32, world.random(6));
            world.nodes[at].store.fail_commit = Some((left, keep));
            world.connect(at);
            world.pump(at, 8);
            if world.nodes[at].store.fail_commit.is_some() {
                world.nodes[at].lose_power(keep);
            }
            counts.power_lost += 1;
        }
        890..950 => mailbox_fault(world, counts),
        950..990 => world.now += world.random(30_000) as u64,
        990..998 => world.now += world.random(3_600_000) as u64,
        _ => world.now += world.random(36 * 3_600_000) as u64,
    }
    counts.operations += 1;
}

fn check(world: &World, seed: u64, ledger: &Ledger, counts: &mut Counts) {
    let mut failed = BTreeSet::new();
    for node in &world.nodes {
        for event in &node.lasting_events {
            match event {
                Event::Failed { to, id, .. } => {
                    failed.insert((node.address, *to, *id));
                }
                Event::Restarted { .. } => counts.restarts += 1,
                _ => {}
            }
        }
        counts.steps += node.lasting_steps;
    }
    let mut recorded = BTreeMap::new();
    for node in &world.nodes {
        for message in &node.store.durable.inbox {
            let key = (message.from, node.address, message.id);
            let twice = recorded.insert(key, message.body.clone());
            assert!(twice.is_none(), "seed {seed}: {key:?} recorded twice");
            let sent = ledger.get(&key);
            assert_eq!(
                Some(&message.body),
                sent,
                "seed {seed}: {key:?} altered or made up"
            );
        }
    }
    for key in ledger.keys() {
        let arrived = recorded.contains_key(key);
        assert!(
            arrived || failed.contains(key),
            "seed {seed}: {key:?} lost in silence"
        );
    }
    assert!(
        failed.is_empty(),
        "seed {seed}: the relay's faults cost {} messages",
        failed.len()
    );
    counts.recorded += recorded.len() as u64;
    counts.failed += failed.len() as u64;
}

#[test]
fn c4_model() {
    let total = number("HUSHWIRE_OPS", 100_000);
    let mut seed = number("HUSHWIRE_SEED", 1);
    let mut counts = Counts::default();
    while counts.operations < total {
        println!("seed {seed}");
        let nodes = 2 + (seed % 3) as u8;
        let mut world = World::new(nodes, seed);
        let mut ledger = Ledger::new();
        for _ in 0..2_000.min(total - counts.operations) {
            operation(&mut world, &mut ledger, &mut counts);
        }
        for node in &mut world.nodes {
            node.store.fail_commit = None;
        }
        world.settle(120);
        world
            .nodes
            .iter_mut()
            .for_each(common::world::Node::keep_events);
        check(&world, seed, &ledger, &mut counts);
        seed += 1;
    }
    println!("{counts:#?}");
    assert!(
        counts.recorded * 2 >= counts.sends,
        "at least half of all sends arrive"
    );
    assert!(
        counts.steps * 20 >= counts.sends,
        "at least 5 % ratchet steps"
    );
    assert!(
        counts.power_lost * 100 >= counts.operations,
        "at least 1 % restarts"
    );
}
