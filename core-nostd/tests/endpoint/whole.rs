//! Conversations of whole devices through a relay.

use hushwire_core::storage::Event;

use crate::common;
use crate::common::world::World;

#[test]
fn a_first_conversation_with_receipts() {
    let mut world = World::new(2, 1);
    let id = world.send(0, 1, b"hello").unwrap();
    // Bob has to have published before Alice can write.
    world.connect(1);
    world.pump(1, 9);
    world.disconnect(1);
    world.connect(0);
    for _ in 0..5 {
        world.pump(0, 9);
    }
    let to = world.nodes[1].address;
    assert!(
        world.events(0).contains(&Event::Accepted { to, id }),
        "{:?}",
        world.events(0)
    );
    world.settle(1);
    assert_eq!(world.inbox(1), [b"hello"]);
    assert!(world.events(0).contains(&Event::Delivered { to, id }));
    let answer = world.send(1, 0, b"hello yourself").unwrap();
    world.settle(1);
    assert_eq!(world.inbox(0), [b"hello yourself"]);
    let to = world.nodes[0].address;
    assert!(
        world
            .events(1)
            .contains(&Event::Delivered { to, id: answer })
    );
    for (one, other) in [(0, 1), (1, 0)] {
        let who = world.nodes[other].address;
        let session = world.nodes[one]
            .store
            .peer(&who)
            .unwrap()
            .session
            .as_ref()
            .unwrap();
        assert!(session.is_confirmed());
    }
}

#[test]
fn both_start_at_once_and_one_conversation_remains() {
    for seed in 0..8 {
        let mut world = World::new(2, seed);
        for at in 0..2 {
            world.connect(at);
            world.pump(at, 9);
        }
        for round in 0..3_u8 {
            world.send(0, 1, &[round, 0]).unwrap();
            world.send(1, 0, &[round, 1]).unwrap();
        }
        // Each fetches and seals before it has heard of the other's start.
        for _ in 0..3 {
            for at in 0..2 {
                world.pump(at, 1);
            }
        }
        world.settle(30);
        assert_eq!(world.inbox(0), [[0, 1], [1, 1], [2, 1]]);
        assert_eq!(world.inbox(1), [[0, 0], [1, 0], [2, 0]]);
        let (a, b) = (world.nodes[0].address, world.nodes[1].address);
        assert!(world.nodes[0].store.tentative(&b).is_none());
        assert!(world.nodes[1].store.tentative(&a).is_none());
        let tag = |at: usize, who| {
            world.nodes[at]
                .store
                .peer(who)
                .unwrap()
                .session
                .as_ref()
                .unwrap()
                .start_tag()
        };
        assert_eq!(
            tag(0, &b),
            tag(1, &a),
            "seed {seed}: one session on both sides"
        );
    }
}

#[test]
fn a_reinstalled_device_is_found_again() {
    let mut world = World::new(2, 3);
    world.send(0, 1, b"one").unwrap();
    world.settle(1);
    world.send(1, 0, b"two").unwrap();
    world.settle(1);
    // Bob's device is lost; the same identity comes back from its words, with the contact.
    let seed = 2;
    world.disconnect(1);
    let alice = world.nodes[0].address;
    let now = world.now;
    world.nodes[1] = common::world::Node::reinstalled(seed, false, now);
    world.nodes[1].add_contact(alice);
    world.send(0, 1, b"three").unwrap();
    world.settle(3);
    assert_eq!(world.inbox(1), [b"three"]);
    world.send(1, 0, b"four").unwrap();
    world.settle(3);
    assert_eq!(world.inbox(0), [&b"two"[..], b"four"]);
}

#[test]
fn a_restored_older_copy_heals() {
    let mut world = World::new(2, 4);
    world.send(0, 1, b"one").unwrap();
    world.settle(1);
    let old = world.nodes[0].store.durable.clone();
    for n in 0..20_u8 {
        world.send(0, 1, &[n]).unwrap();
        world.send(1, 0, &[n]).unwrap();
        world.settle(1);
    }
    world.disconnect(0);
    world.nodes[0].reboot(old);
    world.send(0, 1, b"after").unwrap();
    world.send(1, 0, b"after too").unwrap();
    world.settle(10);
    assert_eq!(world.inbox(1).last().unwrap(), b"after");
    assert_eq!(world.inbox(0).last().unwrap(), b"after too");
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.store.outbox().next().is_none())
    );
}

#[test]
fn the_first_word_of_a_reinstalled_device_is_receipted() {
    let mut world = World::new(2, 5);
    world.send(0, 1, b"one").unwrap();
    world.settle(1);
    world.disconnect(1);
    let (alice, now) = (world.nodes[0].address, world.now);
    world.nodes[1] = common::world::Node::reinstalled(2, false, now);
    world.nodes[1].add_contact(alice);
    let first = world.send(1, 0, b"I am back").unwrap();
    let second = world.send(1, 0, b"with a new device").unwrap();
    world.settle(1);
    assert_eq!(world.inbox(0), [&b"I am back"[..], b"with a new device"]);
    for id in [first, second] {
        assert!(
            world
                .events(1)
                .contains(&Event::Delivered { to: alice, id })
        );
    }
}
