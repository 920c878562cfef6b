//! A2: a relay that swaps an identity, a signed or a one-time prekey gets no session, and the
//! conversation begins once it is honest again.

use std::collections::VecDeque;

use hushwire_core::{
    crypto::{CryptoError, KeyPair, Software},
    identity::IdentityKeys as _,
    storage::Event,
    wire::bundle::BundleError,
};

use crate::common::{
    lab::{Verdict, sign_bundle, state_but_suspicion},
    rng,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const MALLORY: usize = 2;
const CAROL: usize = 3;

/// Alice writes while the relay hands out `bundle` as Bob's. Returns what she was told.
fn written_under(world: &mut World, bundle: Vec<u8>) -> Vec<BundleError> {
    let bob = world.nodes[BOB].address;
    let honest = std::mem::replace(&mut world.relay.get_mut(&bob).unwrap().bundle, bundle);
    world.send(ALICE, BOB, b"for Bob only").unwrap();
    world.speak(ALICE);
    world.relay.get_mut(&bob).unwrap().bundle = honest;
    let errors = world.told(ALICE).filter_map(|event| match event {
        Event::BadBundle { peer, error } if *peer == bob => Some(*error),
        _ => None,
    });
    errors.collect()
}

fn nothing_left(world: &World) {
    assert!(world.recorded.is_empty(), "something was sealed");
    assert!(world.peer(ALICE, BOB).session.is_none());
}

fn recovers(world: &mut World) {
    world.settle(1);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"for Bob only"]);
    world.acquaint(ALICE, BOB);
}

#[test]
fn another_identity_s_bundle() {
    let mut world = World::published(3, 1);
    let mallory = world.nodes[MALLORY].address;
    let theirs = world.relay[&mallory].bundle.clone();
    assert_eq!(
        written_under(&mut world, theirs),
        [BundleError::WrongIdentity]
    );
    nothing_left(&world);
    recovers(&mut world);
}

#[test]
fn every_field_of_another_bundle_spliced_in() {
    // IKs, IKd, counter, largest body, prekey's id, prekey, suites' hash
    let fields = [
        (2, 33),
        (35, 33),
        (68, 8),
        (76, 2),
        (78, 4),
        (82, 33),
        (117, 32),
    ];
    for (at, len) in fields {
        let mut world = World::published(3, 2);
        let mallory = world.nodes[MALLORY].address;
        let bob = world.nodes[BOB].address;
        let mut bundle = world.relay[&bob].bundle.clone();
        let mut theirs = world.relay[&mallory].bundle.clone();
        if bundle[at..at + len] == theirs[at..at + len] {
            theirs[at + len - 1] ^= 1;
        }
        bundle[at..at + len].copy_from_slice(&theirs[at..at + len]);
        let told = written_under(&mut world, bundle);
        assert_eq!(told.len(), 1, "field at {at}");
        let expected = if at < 68 {
            BundleError::WrongIdentity
        } else if at == 76 {
            told[0]
        } else {
            BundleError::Crypto(CryptoError::BadSignature)
        };
        assert_eq!(told[0], expected, "field at {at}");
        nothing_left(&world);
        recovers(&mut world);
    }
}

#[test]
fn mallory_signs_a_prekey_of_her_own_for_bob() {
    let mut world = World::published(3, 3);
    let (bob, mallory) = (world.nodes[BOB].address, world.nodes[MALLORY].address);
    let mut unsigned = world.relay[&bob].bundle.clone();
    unsigned.truncate(unsigned.len() - 64);
    unsigned[82..115].copy_from_slice(&world.relay[&mallory].bundle[82..115]);
    let mut signer = Node::identity(3);
    assert_eq!(signer.public().address(), mallory);
    let bundle = sign_bundle(&mut signer, &bob, &unsigned);
    let told = written_under(&mut world, bundle);
    assert_eq!(told, [BundleError::Crypto(CryptoError::BadSignature)]);
    nothing_left(&world);
    recovers(&mut world);
}

/// The relay swaps among Bob's one-time prekeys; Alice starts on what it gives her.
fn start_on_swapped(mut world: World, swap: impl Fn(&mut VecDeque<(u32, [u8; 33])>)) -> World {
    let bob = world.nodes[BOB].address;
    world.disconnect(BOB);
    swap(&mut world.relay.get_mut(&bob).unwrap().prekeys);
    world.send(ALICE, BOB, b"for Bob only").unwrap();
    world.speak(ALICE);
    world
}

#[test]
fn a_one_time_prekey_of_mallory_s() {
    let pair = KeyPair::generate(&mut Software, &mut rng(5)).unwrap();
    let mut world = World::published(4, 4);
    let (alice, bob) = (world.nodes[ALICE].address, world.nodes[BOB].address);
    let honest = world.relay[&bob].prekeys[0];
    world = start_on_swapped(world, |prekeys| prekeys[0].1 = *pair.public().bytes());
    let start = world.sealed(ALICE, BOB).pop().unwrap();
    let verdict = world.deliver(MALLORY, alice, &start);
    assert_eq!(verdict, Verdict::Refused, "it was never hers");

    let before = state_but_suspicion(&mut world.nodes[BOB], &alice);
    assert_eq!(world.deliver(BOB, alice, &start), Verdict::Refused);
    let after = state_but_suspicion(&mut world.nodes[BOB], &alice);
    assert_eq!(before, after, "no session came of it");

    // The failure spent nothing: Carol starts on the true prekey of that id.
    world.disconnect(BOB);
    world
        .relay
        .get_mut(&bob)
        .unwrap()
        .prekeys
        .push_front(honest);
    world.send(CAROL, BOB, b"from Carol").unwrap();
    world.settle(1);
    let named = &world.sealed(CAROL, BOB)[0][40..44];
    assert_eq!(named, honest.0.to_be_bytes());
    assert_eq!(world.bodies_from(BOB, CAROL), [b"from Carol"]);
    recovers(&mut world);
}

#[test]
fn one_time_prekeys_under_each_other_s_ids() {
    let mut world = start_on_swapped(World::published(3, 4), |prekeys| {
        let (first, second) = (prekeys[0].0, prekeys[1].0);
        (prekeys[0].0, prekeys[1].0) = (second, first);
    });
    world.settle(0);
    assert!(world.bodies_from(BOB, ALICE).is_empty());
    recovers(&mut world);
}

#[test]
fn ids_that_bob_never_made() {
    for id in [0, 1, u32::MAX] {
        let mut world = start_on_swapped(World::published(3, 4), |prekeys| prekeys[0].0 = id);
        world.settle(0);
        assert!(world.bodies_from(BOB, ALICE).is_empty(), "id {id}");
        recovers(&mut world);
    }
}

#[test]
fn a_one_time_prekey_off_the_curve_is_told() {
    let mut world = start_on_swapped(World::published(3, 4), |prekeys| prekeys[0].1 = [5; 33]);
    let peer = world.nodes[BOB].address;
    let error = BundleError::Crypto(CryptoError::InvalidKey);
    let told = Event::BadBundle { peer, error };
    assert!(world.told(ALICE).any(|event| *event == told));
    nothing_left(&world);
    recovers(&mut world);
}

#[test]
fn one_one_time_prekey_for_two() {
    let mut world = World::published(3, 6);
    let bob = world.nodes[BOB].address;
    world.disconnect(BOB);
    let first = world.relay[&bob].prekeys[0];
    for writer in [ALICE, MALLORY] {
        world.send(writer, BOB, b"for Bob only").unwrap();
        world.speak(writer);
        world.relay.get_mut(&bob).unwrap().prekeys.push_front(first);
    }
    world.relay.get_mut(&bob).unwrap().prekeys.clear();
    world.settle(0);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"for Bob only"]);
    assert!(
        world.bodies_from(BOB, MALLORY).is_empty(),
        "a one-time prekey serves once"
    );
    recovers(&mut world);
    assert_eq!(world.bodies_from(BOB, MALLORY), [b"for Bob only"]);
}
