//! A28: unopenable deliveries of a stranger block no window and force no restart, and the honest
//! message behind them arrives.

use hushwire_core::{
    identity::Address,
    limits::BUCKETS,
    wire::envelope::{OVERHEAD, START_LEN},
};
use rand_chacha::rand_core::Rng as _;

use crate::common;
use crate::common::{
    Party,
    lab::Verdict,
    rng, seal,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const POISONS: usize = 128;

/// Garbage of every kind that a relay takes.
fn poison(n: usize, random: &mut common::ChaCha20Rng) -> Vec<u8> {
    let start = if n.is_multiple_of(2) { START_LEN } else { 0 };
    let len = BUCKETS[n % 6] + OVERHEAD + start - usize::from(n.is_multiple_of(7));
    let mut bytes = vec![0; len];
    random.fill_bytes(&mut bytes);
    bytes[..3].copy_from_slice(&[1, 1, if start > 0 { 2 + (n / 2 % 2) as u8 } else { 1 }]);
    bytes
}

fn world(strangers: bool) -> World {
    let mut world = World::published(2, 1);
    world.acquaint(ALICE, BOB);
    let durable = world.nodes[BOB].store.durable.clone();
    let now = world.now;
    world.disconnect(BOB);
    world.nodes[BOB] = Node::new(2, strangers, now);
    world.nodes[BOB].reboot(durable);
    world
}

#[test]
fn a_mailbox_full_of_it() {
    for strangers in [false, true] {
        let mut random = rng(28);
        let mut world = world(strangers);
        let bob = world.nodes[BOB].address;
        let before = world.sealed(BOB, ALICE).len();
        for n in 0..POISONS {
            let stranger = Address([n as u8 | 1; 20]);
            world.store_envelope(bob, stranger, poison(n, &mut random));
        }
        world.send(ALICE, BOB, b"behind them").unwrap();
        world.speak(ALICE);
        for _ in 0..(POISONS / 16 + 2) {
            world.connect(BOB);
            world.pump(BOB, 64);
        }
        assert!(world.relay[&bob].messages.is_empty());
        assert_eq!(
            world.bodies_from(BOB, ALICE).last().unwrap(),
            b"behind them"
        );
        world.settle(2);
        assert_eq!(world.restarts(BOB) + world.restarts(ALICE), 0);
        let said = world.sealed(BOB, ALICE).len() - before;
        println!("{POISONS} poisons, strangers {strangers}: {said} envelopes of Bob's after them");
        assert!(said <= 2, "a receipt and little more");
        assert_eq!(
            world.nodes[BOB].store.durable.peers.len(),
            1,
            "nobody became known"
        );
    }
}

#[test]
fn one_at_a_time() {
    // A window of 1: each is answered before the next one comes.
    for strangers in [false, true] {
        let mut random = rng(29);
        let mut world = world(strangers);
        for n in 0..POISONS {
            let stranger = Address([n as u8 | 1; 20]);
            let poison = poison(n, &mut random);
            assert_eq!(world.deliver(BOB, stranger, &poison), Verdict::Refused);
        }
        world.send(ALICE, BOB, b"behind them").unwrap();
        world.settle(1);
        assert_eq!(
            world.bodies_from(BOB, ALICE).last().unwrap(),
            b"behind them"
        );
        assert_eq!(world.restarts(BOB), 0);
    }
}

#[test]
fn well_made_starts_of_strangers() {
    // Not garbage at all: real starts, from nobody that Bob knows.
    let mut world = world(false);
    world.speak(BOB);
    let own = world.nodes[BOB].store.durable.own.clone();
    for n in 0..16 {
        let mut stranger = Party::new(100 + n);
        let mut session = world.start_as(&mut stranger, BOB, false);
        let start = seal(&mut session, &mut stranger.rng, b"let me in");
        let sender = stranger.public.address();
        assert_eq!(world.deliver(BOB, sender, &start), Verdict::Refused);
    }
    assert_eq!(world.nodes[BOB].store.durable.peers.len(), 1);
    assert!(world.nodes[BOB].store.durable.own == own);
    world.send(ALICE, BOB, b"behind them").unwrap();
    world.settle(1);
    assert_eq!(
        world.bodies_from(BOB, ALICE).last().unwrap(),
        b"behind them"
    );
    assert_eq!(world.restarts(BOB), 0);
}
