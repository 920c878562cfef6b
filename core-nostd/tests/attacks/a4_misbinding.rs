//! A4: sender or recipient rewritten. What Alice sealed for Bob opens at Bob as Alice's, or nowhere.

use hushwire_core::{
    crypto::Software,
    handshake::Initiator,
    identity::Address,
    wire::{bundle::Bundle, envelope::Envelope, envelope::Opening},
};

use crate::common::{
    Party,
    lab::{Verdict, sign_bundle, state_but_suspicion},
    seal,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const MALLORY: usize = 2;
const CAROL: usize = 3;

/// Delivers, sees it refused, and that no conversation of the device changed.
fn refused(world: &mut World, at: usize, sender: Address, envelope: &[u8]) {
    world.speak(at);
    let all: Vec<_> = world.nodes.iter().map(|node| node.address).collect();
    let before: Vec<_> = all
        .iter()
        .map(|who| state_but_suspicion(&mut world.nodes[at], who))
        .collect();
    let inbox = world.inbox(at).len();
    assert_eq!(world.deliver(at, sender, envelope), Verdict::Refused);
    for (who, before) in all.iter().zip(before) {
        assert_eq!(state_but_suspicion(&mut world.nodes[at], who), before);
    }
    assert_eq!(world.inbox(at).len(), inbox);
}

#[test]
fn another_sender_or_another_recipient() {
    for running in [false, true] {
        let mut world = World::published(4, 1);
        if running {
            world.acquaint(ALICE, BOB);
            world.acquaint(MALLORY, BOB);
            world.acquaint(ALICE, CAROL);
        }
        let before = world.bodies_from(BOB, ALICE).len();
        world.disconnect(BOB);
        world.send(ALICE, BOB, b"from Alice to Bob").unwrap();
        world.speak(ALICE);
        let (sender, envelope) = world.withhold(BOB).pop().unwrap();
        let address = |at: usize| world.nodes[at].address;
        assert_eq!(sender, address(ALICE));
        let (mallory, bob, nobody) = (address(MALLORY), address(BOB), Address([9; 20]));
        for liar in [mallory, bob, nobody, Address::ZERO] {
            refused(&mut world, BOB, liar, &envelope);
        }
        for other in [MALLORY, CAROL, ALICE] {
            refused(&mut world, other, sender, &envelope);
        }
        // Rightly delivered, it still opens: the attempts spent nothing.
        assert_eq!(world.deliver(BOB, sender, &envelope), Verdict::Acked);
        assert_eq!(world.bodies_from(BOB, ALICE).len(), before + 1);
        assert!(
            world
                .bodies_from(BOB, MALLORY)
                .iter()
                .all(|body| body == b"acquaintance")
        );
    }
}

#[test]
fn bob_s_prekey_under_mallory_s_name() {
    // Mallory signs Bob's prekey as hers and hands what Alice then writes to her on to Bob.
    let mut world = World::published(4, 2);
    let (alice, bob, mallory) = (
        world.nodes[ALICE].address,
        world.nodes[BOB].address,
        world.nodes[MALLORY].address,
    );
    let mut unsigned = world.relay[&mallory].bundle.clone();
    unsigned.truncate(unsigned.len() - 64);
    unsigned[78..115].copy_from_slice(&world.relay[&bob].bundle[78..115]);
    let bundle = sign_bundle(&mut Node::identity(3), &mallory, &unsigned);
    for with in [true, false] {
        let theirs = world.relay[&bob].prekeys.clone();
        let mailbox = world.relay.get_mut(&mallory).unwrap();
        mailbox.bundle.clone_from(&bundle);
        mailbox.prekeys = if with { theirs } else { Default::default() };
        world.disconnect(MALLORY);
        world.lose_session(ALICE, MALLORY);
        world.send(ALICE, MALLORY, b"dear Mallory").unwrap();
        world.speak(ALICE);
        let (_, envelope) = world.withhold(MALLORY).pop().unwrap();
        refused(&mut world, BOB, alice, &envelope);
        refused(&mut world, BOB, mallory, &envelope);
    }
}

#[test]
fn mallory_seals_alice_s_keys_as_the_sender() {
    let mut world = World::published(4, 3);
    let (alice, bob, mallory) = (
        world.nodes[ALICE].address,
        world.nodes[BOB].address,
        world.nodes[MALLORY].address,
    );
    let bundle = world.relay[&bob].bundle.clone();
    let verified = Bundle::parse(&bundle)
        .unwrap()
        .verify(&mut Software, &bob)
        .unwrap();
    let mut liar = Party::new(3);
    assert_eq!(liar.public.address(), mallory);
    let claimed = *world.nodes[ALICE].device.identity();
    let (id, point) = world.relay[&bob].prekeys[0];
    let point = hushwire_core::crypto::PublicKey::parse(&mut Software, &point).unwrap();
    for prekey in [None, Some((id, point))] {
        let mut session = Initiator::new(&claimed, &verified, 1024)
            .unwrap()
            .start(&mut Software, &mut liar.rng, &mut liar.identity, prekey)
            .unwrap();
        let envelope = seal(&mut session, &mut liar.rng, b"I am Alice");
        let Opening::Start(_) = Envelope::parse(&envelope).unwrap().opening else {
            panic!("a start");
        };
        refused(&mut world, BOB, alice, &envelope);
        refused(&mut world, BOB, mallory, &envelope);
    }
}

#[test]
fn mallory_s_own_start_in_alice_s_name() {
    let mut world = World::published(4, 4);
    world.acquaint(ALICE, BOB);
    let alice = world.nodes[ALICE].address;
    world.disconnect(BOB);
    world.send(MALLORY, BOB, b"I am Alice").unwrap();
    world.speak(MALLORY);
    let (mallory, envelope) = world.withhold(BOB).pop().unwrap();
    refused(&mut world, BOB, alice, &envelope);
    assert_eq!(world.deliver(BOB, mallory, &envelope), Verdict::Acked);
    assert_eq!(world.bodies_from(BOB, MALLORY), [b"I am Alice"]);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"acquaintance"]);
}
