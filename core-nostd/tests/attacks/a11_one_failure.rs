//! A11: every failure of open looks the same: one error, one answer to the relay, the same state, no
//! randomness drawn.

use hushwire_core::{
    crypto::Software,
    session::OpenError,
    wire::{EnvelopeId, answer::Answer, envelope::START_LEN, request::Request},
};

use crate::common;
use crate::common::{
    encode,
    lab::{feed, frame, next_frame, state_but_suspicion},
    pair, seal,
    world::World,
};

const ALICE: usize = 0;
const BOB: usize = 1;

/// Ways to spoil an envelope, each with the place of its first ratchet byte.
fn spoiled(envelope: &[u8], at: usize) -> Vec<(&'static str, Vec<u8>)> {
    let len = envelope.len();
    let flips = [
        ("version", 0),
        ("suite", 1),
        ("kind", 2),
        ("salt", at),
        ("commitment", at + 16),
        ("header", at + 32),
        ("header's tag", at + 73),
        ("body", at + 89),
        ("body's end", len - 17),
        ("body's tag", len - 1),
    ];
    let mut all: Vec<_> = flips
        .into_iter()
        .map(|(name, at)| {
            let mut bytes = envelope.to_vec();
            bytes[at] ^= 0x80;
            (name, bytes)
        })
        .collect();
    all.push(("shorter", envelope[..len - 1].to_vec()));
    all.push(("longer", [envelope, &[0]].concat()));
    all.push(("one byte", vec![1]));
    all.push((
        "a bucket less",
        [&envelope[..at + 89], &envelope[len - 16..]].concat(),
    ));
    all.push(("zeros", vec![0; len]));
    all
}

#[test]
fn of_a_session() {
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    let (.., mut other, _) = pair(7);
    let spent = seal(&mut a, &mut alice.rng, b"spent");
    common::open(&mut b, &spent).unwrap();
    let own = seal(&mut b, &mut bob.rng, b"own");
    let message = seal(&mut a, &mut alice.rng, b"message");
    let mut cases = spoiled(&message, 3);
    cases.push(("spent", spent));
    cases.push(("reflected", own));
    cases.push((
        "another session's",
        seal(&mut other, &mut alice.rng, b"other"),
    ));
    let before = encode(&mut b);
    for (name, bytes) in &cases {
        let mut envelope = bytes.clone();
        let error = b.open(&mut Software, &mut envelope).unwrap_err();
        assert_eq!(error, OpenError::Unopenable, "{name}");
        assert_eq!(error.to_string(), "the message does not open");
        assert_eq!(&envelope, bytes, "{name}: another session may try it");
        assert_eq!(encode(&mut b), before, "{name}");
    }
    assert_eq!(common::open(&mut b, &message).unwrap(), b"message");
    println!("{} failures of a session, one error", cases.len());
}

/// Delivers a bad envelope to a device that is otherwise idle.
fn delivered(world: &mut World, envelope: &[u8], name: &str) {
    let (now, sender) = (world.now, world.nodes[ALICE].address);
    let bob = &mut world.nodes[BOB];
    let before = (
        state_but_suspicion(bob, &sender),
        bob.rng.get_word_pos(),
        bob.store.durable.own.clone(),
        bob.store.events.len(),
    );
    let deliver = Answer::Deliver {
        sequence: 1 << 20,
        stored_at: 0,
        sender,
        envelope,
    };
    feed(bob, now, &mut frame(&deliver)).unwrap();
    let answer = next_frame(bob, now).unwrap();
    let refuse = Request::Refuse(EnvelopeId::of(envelope));
    assert_eq!(Request::parse(&answer).unwrap(), refuse, "{name}");
    assert_eq!(next_frame(bob, now), None, "{name}: nothing else is said");
    let after = (
        state_but_suspicion(bob, &sender),
        bob.rng.get_word_pos(),
        bob.store.durable.own.clone(),
        bob.store.events.len(),
    );
    assert!(before == after, "{name}: the device changed");
}

#[test]
fn of_a_device() {
    let mut tried = 0;
    for running in [false, true] {
        let mut world = World::published(2, 1);
        if running {
            world.acquaint(ALICE, BOB);
        }
        world.settle(1);
        world.disconnect(BOB);
        world.send(ALICE, BOB, b"good").unwrap();
        world.speak(ALICE);
        let (sender, good) = world.withhold(BOB).pop().unwrap();
        world.connect(BOB);
        world.pump(BOB, 64);
        let at = if running { 3 } else { 3 + START_LEN };
        let mut cases = spoiled(&good, at);
        if running {
            cases.push(("spent", world.sealed(ALICE, BOB)[0].clone()));
            cases.push(("reflected", world.sealed(BOB, ALICE)[0].clone()));
        } else {
            for (name, at) in [
                ("ephemeral key", 3),
                ("ephemeral key's end", 35),
                ("signed prekey's id", 36),
                ("one-time prekey's id", 43),
                ("sender", 44),
                ("sender's end", 111),
                ("sender's tag", 112),
            ] {
                let mut bytes = good.clone();
                bytes[at] ^= 0x01;
                cases.push((name, bytes));
            }
        }
        for (name, envelope) in &cases {
            // Suspicion has its own test: here each failure is the first.
            world.trust(BOB, ALICE);
            if *name == "spent" {
                for n in 0..20 {
                    world.send(ALICE, BOB, &[n]).unwrap();
                    world.settle(1);
                }
            }
            delivered(&mut world, envelope, name);
            tried += 1;
        }
        let opened = world.deliver(BOB, sender, &good);
        assert_eq!(opened, common::lab::Verdict::Acked);
    }
    println!("{tried} failures of a device, one answer");
}
