//! One relay's silence or lies stop nothing at another, and a peer without a bundle stops no other.

use hushwire_core::{
    endpoint::Handled,
    identity::Address,
    peer::{Peer, Standing},
    storage::{Event, Storage as _},
    wire::{
        EnvelopeId,
        answer::{Answer, Welcome},
        bundle::Bundle,
        reason::Reason,
        request::Request,
    },
};

use crate::common::{
    lab::{HOUR, feed_on, frame, next_on},
    world::{LINK, Node, Size, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const OTHER: u8 = LINK + 1;

fn add(node: &mut Node, address: Address, link: u8) {
    let peer = Peer::new(address, Standing::Contact, link);
    assert!(node.store.create(peer).unwrap());
    node.store.save(&address).unwrap();
    node.store.commit().unwrap();
}

fn welcome(node: &mut Node, now: u64, link: u8) {
    let welcome = Answer::Welcome(Welcome {
        epoch: 1,
        next_sequence: 0,
        unix_seconds: 0,
        waiting: 0,
        prekeys: 8,
        bundle_counter: 1,
    });
    feed_on(node, now, link, &mut frame(&welcome)).unwrap();
}

#[test]
fn a_ninth_contact_starts_though_eight_have_published_nothing() {
    let mut world = World::published(2, 1);
    for n in 0..20 {
        let nobody = Address([100 + n; 20]);
        world.nodes[ALICE].add_contact(nobody);
        world.send_to(ALICE, &nobody, b"are you there?").unwrap();
    }
    world.send(ALICE, BOB, b"you are there").unwrap();
    world.minutes(30);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"you are there"]);
}

#[test]
fn bundles_denied_for_ever_by_one_relay() {
    let mut world = World::published(2, 2);
    let now = world.now;
    let alice = &mut world.nodes[ALICE];
    welcome(alice, now, OTHER);
    for n in 0..20 {
        add(alice, Address([100 + n; 20]), OTHER);
    }
    for n in 0..20 {
        world.send_to(ALICE, &Address([100 + n; 20]), b"?").unwrap();
    }
    while let Some(bytes) = next_on(&mut world.nodes[ALICE], now, OTHER) {
        if let Request::Fetch { number, .. } = Request::parse(&bytes).unwrap() {
            let (reason, retry_after) = (Reason::RateLimited, u32::MAX);
            let denied = Answer::Failed {
                number,
                reason,
                retry_after,
            };
            feed_on(&mut world.nodes[ALICE], now, OTHER, &mut frame(&denied)).unwrap();
        }
    }
    world.send(ALICE, BOB, b"over the honest one").unwrap();
    world.minutes(30);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"over the honest one"]);
}

#[test]
fn submissions_that_one_relay_never_answers() {
    for size in [Size::Host, Size::SmallWithTwoLinks] {
        one_relay_never_answers(World::of_sizes(&[size, Size::Host, Size::Host], 3));
    }
}

fn one_relay_never_answers(mut world: World) {
    world.settle(1);
    world.acquaint(ALICE, BOB);
    let now = world.now;
    welcome(&mut world.nodes[ALICE], now, OTHER);
    let silent = world.nodes[2].address;
    world.acquaint(ALICE, 2);
    for n in 0..40 {
        world.send_to(ALICE, &silent, &[n]).unwrap();
    }
    // They go over the link that swallows everything.
    world.nodes[ALICE].store.move_outbox(&silent, OTHER);
    let mut swallowed = 0;
    for _ in 0..50 {
        while next_on(&mut world.nodes[ALICE], world.now, OTHER).is_some() {
            swallowed += 1;
        }
        world.now += 61_000;
    }
    world.send(ALICE, BOB, b"over the honest one").unwrap();
    let before = world.bodies_from(BOB, ALICE).len();
    world.minutes(1);
    println!("{swallowed} submissions swallowed");
    assert_eq!(world.bodies_from(BOB, ALICE).len(), before + 1);
    let receipted = |event: &&Event| matches!(event, Event::Delivered { to, .. } if *to == world.nodes[BOB].address);
    assert!(world.told(ALICE).filter(receipted).count() >= 2);
}

#[test]
fn a_silent_relay_makes_no_busy_loop() {
    let mut world = World::published(2, 4);
    world.acquaint(ALICE, BOB);
    for n in 0..40 {
        world.send(ALICE, BOB, &[n]).unwrap();
    }
    let mut polls = 0;
    let end = world.now + HOUR;
    while world.now < end {
        while next_on(&mut world.nodes[ALICE], world.now, LINK).is_some() {}
        polls += 1;
        assert!(polls < 1000, "polled {polls} times and nothing came of it");
        world.now = world.timeout(ALICE).unwrap_or(end).max(world.now);
    }
    println!("{polls} polls in an hour of silence");
}

#[test]
fn one_relay_does_not_answer_for_another() {
    let mut world = World::published(2, 5);
    let (now, bob) = (world.now, world.nodes[BOB].address);
    welcome(&mut world.nodes[ALICE], now, OTHER);
    world.send(ALICE, BOB, b"hello").unwrap();
    let bytes = next_on(&mut world.nodes[ALICE], now, LINK).unwrap();
    let Request::Fetch { number, address } = Request::parse(&bytes).unwrap() else {
        panic!("a bundle is needed first");
    };
    assert_eq!(address, bob);
    let reason = Reason::NotFound;
    let failed = Answer::Failed {
        number,
        reason,
        retry_after: u32::MAX,
    };
    let bundle = world.relay[&bob].bundle.clone();
    assert!(Bundle::parse(&bundle).is_ok());
    let prekey = Some((77, world.relay[&bob].prekeys[1].1));
    let forged = Answer::Bundle {
        number,
        address,
        prekey,
        bundle: &bundle,
    };
    for answer in [failed, forged] {
        feed_on(&mut world.nodes[ALICE], now, OTHER, &mut frame(&answer)).unwrap();
        assert!(world.peer(ALICE, BOB).session.is_none());
        assert!(
            !world
                .told(ALICE)
                .any(|event| matches!(event, Event::NoBundle { .. }))
        );
    }
    world.serve(ALICE, &bytes);
    world.settle(0);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"hello"]);
    // Nor may it take custody in another's name.
    world.send(ALICE, BOB, b"again").unwrap();
    let now = world.now;
    let bytes = next_on(&mut world.nodes[ALICE], now, LINK).unwrap();
    let Request::Submit { envelope, .. } = Request::parse(&bytes).unwrap() else {
        panic!("{bytes:?}");
    };
    let told = world.told(ALICE).count();
    let custody = Answer::Accepted(EnvelopeId::of(envelope));
    feed_on(&mut world.nodes[ALICE], now, OTHER, &mut frame(&custody)).unwrap();
    assert_eq!(world.told(ALICE).count(), told);
}

/// Where a relay's key is kept is the caller's matter; an endpoint goes on as if nothing was said.
#[test]
fn a_relay_that_tells_a_new_key_is_served_as_before() {
    let mut world = World::published(2, 3);
    let now = world.now;
    for point in [[2; 33], [0xff; 33]] {
        let mut told = frame(&Answer::RelayKey(point));
        let handled = feed_on(&mut world.nodes[ALICE], now, LINK, &mut told).unwrap();
        assert_eq!(handled, Handled::NotMine);
    }
    world.send(ALICE, BOB, b"as before").unwrap();
    world.minutes(1);
    assert_eq!(world.bodies_from(BOB, ALICE), [b"as before"]);
}
