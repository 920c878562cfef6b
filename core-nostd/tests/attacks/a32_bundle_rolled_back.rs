//! A32: a bundle that lost a suite or goes back is refused, and a relay cannot wear the counter out.

use hushwire_core::{
    limits::SIGNED_PREKEY_PERIOD_MS,
    storage::Event,
    wire::{
        answer::{Answer, Welcome},
        bundle::{Bundle, BundleError},
        request::Request,
    },
};

use crate::common::{
    lab::{feed, frame, next_frame, sign_bundle},
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;

/// Bob's bundle, signed by him, with another counter and with further suites.
fn bundle(world: &World, counter: u64, suites: &[u8]) -> Vec<u8> {
    let bob = world.nodes[BOB].address;
    let published = &world.relay[&bob].bundle;
    let mut unsigned = published[..115].to_vec();
    unsigned[68..76].copy_from_slice(&counter.to_be_bytes());
    unsigned.push(suites.len() as u8);
    for suite in suites {
        unsigned.push(*suite);
        unsigned.extend(&published[117..149]);
    }
    sign_bundle(&mut Node::identity(2), &bob, &unsigned)
}

fn told(world: &World) -> Vec<BundleError> {
    let errors = world.told(ALICE).filter_map(|event| match event {
        Event::BadBundle { error, .. } => Some(*error),
        _ => None,
    });
    errors.collect()
}

/// Alice has seen `first`, then loses her session and is given `second`.
fn seen_then(first: (u64, &[u8]), second: (u64, &[u8])) -> (World, Vec<BundleError>) {
    let mut world = World::published(2, 1);
    let bob = world.nodes[BOB].address;
    let offered = bundle(&world, first.0, first.1);
    world.relay.get_mut(&bob).unwrap().bundle = offered;
    world.send(ALICE, BOB, b"one").unwrap();
    world.settle(1);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"one"]);
    let given = bundle(&world, second.0, second.1);
    world.relay.get_mut(&bob).unwrap().bundle = given;
    world.lose_session(ALICE, BOB);
    world.send(ALICE, BOB, b"two").unwrap();
    world.speak(ALICE);
    let told = told(&world);
    (world, told)
}

#[test]
fn fewer_suites_or_a_lower_counter_start_nothing() {
    let both: &[u8] = &[1, 2];
    for (first, second, error) in [
        ((5, both), (6, &[1][..]), BundleError::Stripped),
        ((5, &[2, 1]), (5, &[1, 3]), BundleError::Stripped),
        ((5, both), (4, both), BundleError::RolledBack),
        ((5, &[1]), (4, both), BundleError::RolledBack),
        ((u64::MAX, &[1]), (0, &[1]), BundleError::RolledBack),
    ] {
        let (mut world, told) = seen_then(first, second);
        assert_eq!(told, [error]);
        assert!(world.peer(ALICE, BOB).session.is_none());
        assert_eq!(world.peer(ALICE, BOB).bundle_counter, first.0);
        // The relay gives the newest again.
        let newest = bundle(&world, first.0, first.1);
        let bob = world.nodes[BOB].address;
        world.relay.get_mut(&bob).unwrap().bundle = newest;
        world.settle(1);
        assert_eq!(world.bodies_from(BOB, ALICE), [b"one", b"two"]);
    }
}

#[test]
fn more_suites_and_a_higher_counter_are_fine() {
    for second in [(5, &[1, 2][..]), (6, &[2, 1]), (9, &[1, 2, 3, 4])] {
        let (mut world, told) = seen_then((5, &[1, 2]), second);
        assert_eq!(told, []);
        world.settle(1);
        assert_eq!(world.bodies_from(BOB, ALICE), [b"one", b"two"]);
        assert_eq!(world.peer(ALICE, BOB).bundle_counter, second.0);
    }
}

/// Bob is told by a relay that it holds a bundle of his of that counter. What he publishes then.
fn published_after(world: &mut World, counter: u64) -> u64 {
    let welcome = Answer::Welcome(Welcome {
        epoch: 1,
        next_sequence: 0,
        unix_seconds: 0,
        waiting: 0,
        prekeys: 8,
        bundle_counter: counter,
    });
    let now = world.now;
    let node = &mut world.nodes[BOB];
    feed(node, now, &mut frame(&welcome)).unwrap();
    let mut published = 0;
    while let Some(bytes) = next_frame(node, now) {
        if let Request::Publish { number, bundle } = Request::parse(&bytes).unwrap() {
            published = Bundle::parse(bundle).unwrap().counter;
            feed(node, now, &mut frame(&Answer::Done { number })).unwrap();
        }
    }
    published
}

#[test]
fn a_former_life_is_outrun() {
    let mut world = World::published(2, 2);
    // A device's first counter is below 2^31.
    for former in [1 << 32, 1 << 40] {
        assert_eq!(published_after(&mut world, former), former + 1);
    }
}

#[test]
fn no_relay_can_wear_the_counter_out() {
    let mut world = World::published(2, 3);
    for lie in [u64::MAX, u64::MAX - 1, 1 << 62, u64::MAX] {
        published_after(&mut world, lie);
    }
    // Counters must still rise with each bundle, or an old one could be given for a new one.
    let mut last = 0;
    for _ in 0..4 {
        world.now += SIGNED_PREKEY_PERIOD_MS;
        let published = published_after(&mut world, u64::MAX);
        assert!(published > last, "{published} after {last}");
        last = published;
    }
}
