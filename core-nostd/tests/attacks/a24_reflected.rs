//! A24: what a device sealed never opens at itself, whoever the relay says it is from.

use crate::common::{
    Party, encode,
    lab::{Verdict, state_but_suspicion},
    open, pair, seal,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

#[test]
fn to_a_session() {
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    let mut tried = 0;
    for round in 0..50_u8 {
        for (session, rng) in [(&mut a, &mut alice.rng), (&mut b, &mut bob.rng)] {
            let own = seal(session, rng, &[round]);
            let before = encode(session);
            assert_eq!(open(session, &own), None);
            assert_eq!(encode(session), before);
            tried += 1;
        }
        let (from_a, from_b) = (
            seal(&mut a, &mut alice.rng, b"on"),
            seal(&mut b, &mut bob.rng, b"on"),
        );
        open(&mut a, &from_b).unwrap();
        open(&mut b, &from_a).unwrap();
    }
    println!("{tried} own messages refused by their sessions");
}

#[test]
fn a_start_to_its_maker() {
    let (mut alice, mut bob) = (Party::new(1), Party::new(2));
    for with in [true, false] {
        let mut a = alice.start(&mut bob, with);
        let first = seal(&mut a, &mut alice.rng, b"first");
        let before = encode(&mut a);
        assert_eq!(open(&mut a, &first), None);
        assert_eq!(encode(&mut a), before);
        assert!(alice.respond(&first).is_none());
    }
}

#[test]
fn to_a_device() {
    for strangers in [false, true] {
        let mut world = World::new(3, 1);
        for at in [ALICE, BOB] {
            let (address, now) = (world.nodes[1 - at].address, world.now);
            world.nodes[at] = Node::new(at as u8 + 1, strangers, now);
            world.nodes[at].add_contact(address);
        }
        world.record = true;
        world.settle(1);
        // The first message, before and after it was answered, and messages of the session.
        let mut own = Vec::new();
        for _ in 0..3 {
            world.send(ALICE, BOB, b"mine").unwrap();
            world.speak(ALICE);
            own = world.sealed(ALICE, BOB);
            world.speak(ALICE);
            for sender in [ALICE, BOB, CAROL] {
                let (sender, bob) = (world.nodes[sender].address, world.nodes[BOB].address);
                for envelope in &own {
                    let before = state_but_suspicion(&mut world.nodes[ALICE], &bob);
                    let verdict = world.deliver(ALICE, sender, envelope);
                    assert_eq!(verdict, Verdict::Refused);
                    let after = state_but_suspicion(&mut world.nodes[ALICE], &bob);
                    assert_eq!(after, before);
                    // Restarts by suspicion have their own test.
                    world.trust(ALICE, BOB);
                }
            }
            world.settle(1);
        }
        assert!(world.inbox(ALICE).is_empty());
        let own_address = world.nodes[ALICE].address;
        assert!(world.nodes[ALICE].store.peer(&own_address).is_none());
        assert_eq!(world.bodies_from(BOB, ALICE).len(), 3);
        println!(
            "strangers {strangers}: {} own envelopes reflected",
            own.len() * 3
        );
    }
}
