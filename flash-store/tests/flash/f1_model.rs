//! F1, at random: three devices on small flashes, power that goes in any operation in any way, a
//! relay that drops, doubles and reorders. After each commit flash holds what RAM holds; at the end
//! each message stands in its inbox once.
//!
//! `HUSHWIRE_OPS` operations in all, from `HUSHWIRE_SEED` on.

use std::collections::BTreeMap;

use hushwire_core::{
    endpoint::{Cx, SendError},
    identity::Address,
    session::Kind,
    storage::Event,
    wire::MessageId,
};
use hushwire_flash::Boot;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common::{
    flash::Torn,
    mirror,
    node::{Counter, Flash, Node},
    size,
    world::World,
};

#[derive(Default, Debug)]
struct Counts {
    sends: u64,
    refused: u64,
    cuts: u64,
    faults: u64,
    commits: u64,
    erases: u64,
    restarts: u64,
    boots: u64,
}

fn torn(world: &mut World) -> Torn {
    match world.random(5) {
        0 => Torn::Nothing,
        1 => Torn::All,
        2 => Torn::First(world.random(16)),
        3 => Torn::Last(world.random(16)),
        _ => Torn::First(15),
    }
}

fn fault(world: &mut World, counts: &mut Counts) {
    let at = world.random(world.nodes.len());
    let owner = world.nodes[at].address;
    let (what, place, other) = (world.random(3), world.random(64), world.random(64));
    let Some(mailbox) = world.relay.get_mut(&owner) else {
        return;
    };
    let len = mailbox.messages.len();
    if len == 0 {
        return;
    }
    counts.faults += 1;
    match what {
        0 => {
            mailbox.messages.remove(place % len);
        }
        1 => {
            let mut copy = mailbox.messages[place % len].clone();
            copy.offered = false;
            mailbox.messages.push_back(copy);
        }
        _ => mailbox.messages.swap(place % len, other % len),
    }
}

type Ledger = BTreeMap<(Address, Address, MessageId), Vec<u8>>;

fn send(world: &mut World, ledger: &mut Ledger, counts: &mut Counts) {
    let at = world.random(3);
    let to = (at + 1 + world.random(2)) % 3;
    let len = [0, 20, 48, 49, 200, 900][world.random(6)];
    let mut body = vec![0; len];
    rand_core::Rng::fill_bytes(&mut world.rng, &mut body);
    let (from, to) = (world.nodes[at].address, world.nodes[to].address);
    let now = world.now;
    let Node {
        device, store, rng, ..
    } = &mut world.nodes[at];
    match device.send(&mut Cx { store, rng, now }, &to, &body) {
        Ok(id) => {
            ledger.insert((from, to, id), body);
            counts.sends += 1;
        }
        Err(SendError::OutboxFull) => counts.refused += 1,
        Err(SendError::Storage(_)) => {
            world.nodes[at].lose_power(0);
            // The application does not know whether it was stored.
            let entries: Vec<_> = world.nodes[at].store.outbox().collect();
            for entry in entries
                .iter()
                .filter(|e| e.kind == Kind::DATA && e.to == to)
            {
                ledger
                    .entry((from, to, entry.id))
                    .or_insert_with(|| body.clone());
            }
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn operation(world: &mut World, ledger: &mut Ledger, counts: &mut Counts) {
    let at = world.random(3);
    match world.random(100) {
        0..25 => send(world, ledger, counts),
        25..82 => {
            world.connect(at);
            let frames = 1 + world.random(6);
            world.pump(at, frames);
        }
        82..86 => world.disconnect(at),
        86..90 => {
            let cut = (world.random(12) as u64, torn(world));
            world.nodes[at].chip.get().cut = Some(cut);
            counts.cuts += 1;
        }
        90..91 => world.nodes[at].lose_power(0),
        91..95 => fault(world, counts),
        95..99 => world.now += world.random(30_000) as u64,
        _ => world.now += world.random(3 * 3_600_000) as u64,
    }
}

fn life(seed: u64, operations: u64, counts: &mut Counts) {
    let now = 1_000_000;
    let on = |seed: u8| Node::on(Flash::new(8), seed, false, now, Counter(None));
    let mut world = World {
        epoch: 1,
        nodes: (1..=3).map(on).collect(),
        relay: BTreeMap::new(),
        now,
        rng: ChaCha20Rng::seed_from_u64(seed),
        recorded: Vec::new(),
        record: false,
    };
    let all: Vec<Address> = world.nodes.iter().map(|node| node.address).collect();
    for node in &mut world.nodes {
        let own = node.address;
        all.iter()
            .filter(|who| **who != own)
            .for_each(|who| node.add_contact(*who));
        node.store.watch = Some(mirror::same);
    }
    let mut ledger = Ledger::new();
    for _ in 0..operations {
        operation(&mut world, &mut ledger, counts);
    }
    for node in &mut world.nodes {
        node.chip.get().power_on();
        node.store.watch = None;
    }
    world.settle(120);
    let mut recorded = 0;
    for node in &mut world.nodes {
        node.keep_events();
        let restarts = node.lasting_events.iter();
        counts.restarts += restarts
            .filter(|e| matches!(e, Event::Restarted { .. }))
            .count() as u64;
        let failed = node.lasting_events.iter();
        assert_eq!(
            failed.filter(|e| matches!(e, Event::Failed { .. })).count(),
            0
        );
        counts.commits += node.store.commits;
        counts.erases += node.chip.get().erases;
        counts.boots += node.boots.len() as u64;
        for boot in &node.boots {
            assert!(
                matches!(boot, Boot::Fresh | Boot::Ready),
                "seed {seed}: {boot:?}"
            );
        }
        for message in &node.store.durable.inbox {
            let key = (message.from, node.address, message.id);
            assert_eq!(ledger.get(&key), Some(&message.body), "seed {seed}");
            recorded += 1;
        }
    }
    assert_eq!(recorded, ledger.len(), "seed {seed}: lost in silence");
}

#[test]
fn f1_model() {
    let total = size("HUSHWIRE_OPS", 6_000);
    let mut seed = size("HUSHWIRE_SEED", 1);
    let mut counts = Counts::default();
    let mut done = 0;
    while done < total {
        println!("seed {seed}");
        let operations = 1_000.min(total - done);
        life(seed, operations, &mut counts);
        done += operations;
        seed += 1;
    }
    println!("{counts:#?}");
    assert!(counts.sends > total / 10 && counts.cuts > total / 50 && counts.erases > 200);
}
