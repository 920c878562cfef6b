//! Four places for what waits to be told do what sixty-four do, a few at a time.

use hushwire_core::{
    crypto::Software,
    endpoint::{Endpoint, EndpointError},
    identity::{Address, SoftwareIdentity},
    limits::{DEVICE_MAX_SKIP, DEVICE_QUEUE},
    wire::{
        EnvelopeId, WireError,
        answer::{Answer, NoticeKind, Welcome},
        request::Request,
    },
};

use crate::common::{
    lab::{Verdict, feed, feed_on, frame, next_frame, next_on},
    world::{LINK, Node, Size, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;
const OTHER: u8 = LINK + 1;

fn notice(n: u8) -> Answer<'static> {
    Answer::Notice {
        kind: NoticeKind::ReceivedExpired,
        peer: Address([n; 20]),
        count: 1,
    }
}

fn world(size: Size, seed: u64) -> World {
    let mut world = World::of_sizes(&[size, Size::Host], seed);
    world.settle(1);
    world
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
    while next_on(node, now, link).is_some() {}
}

#[test]
fn an_endpoint_of_a_device_is_small() {
    type Device = Endpoint<SoftwareIdentity, Software, DEVICE_MAX_SKIP, 8, DEVICE_QUEUE, 1>;
    let bytes = size_of::<Device>();
    println!("{bytes} bytes");
    assert!(bytes <= 2048);
}

#[test]
fn more_notices_than_places_are_all_told_in_order() {
    let mut world = world(Size::Small, 1);
    let now = world.now;
    let node = &mut world.nodes[ALICE];
    let mut told = Vec::new();
    let mut busy = 0;
    for n in 0..20 {
        while let Err(error) = feed(node, now, &mut frame(&notice(n))) {
            assert_eq!(error, EndpointError::Busy);
            busy += 1;
            told.push(next_frame(node, now).unwrap());
        }
    }
    told.extend(std::iter::from_fn(|| next_frame(node, now)));
    assert_eq!(busy, 20 - DEVICE_QUEUE);
    let expected: Vec<_> = (0..20)
        .map(|n| (NoticeKind::ReceivedExpired, Address([n; 20]), 1))
        .collect();
    let noted = told.iter().map(|bytes| match Request::parse(bytes) {
        Ok(Request::Noted { kind, peer, count }) => (kind, peer, count),
        other => panic!("{other:?}"),
    });
    assert_eq!(noted.collect::<Vec<_>>(), expected);
    let events = world.told(ALICE).count();
    assert!(events >= 20, "each was told to the application once");
}

#[test]
fn a_delivery_without_a_place_changes_nothing_and_opens_later() {
    let mut world = world(Size::Small, 2);
    world.acquaint(ALICE, BOB);
    world.send(BOB, ALICE, b"in a crowd").unwrap();
    world.speak(BOB);
    let (sender, envelope) = world.withhold(ALICE).pop().unwrap();
    let (now, id) = (world.now, EnvelopeId::of(&envelope));
    let node = &mut world.nodes[ALICE];
    for n in 0..DEVICE_QUEUE as u8 {
        feed(node, now, &mut frame(&notice(n))).unwrap();
    }
    let bytes = frame(&Answer::Deliver {
        sequence: 99,
        stored_at: 0,
        sender,
        envelope: &envelope,
    });
    let mut given = bytes.clone();
    assert_eq!(feed(node, now, &mut given), Err(EndpointError::Busy));
    assert_eq!(given, bytes, "the frame may be given again");
    assert!(node.store.durable.inbox.len() == 1, "only the acquaintance");
    next_frame(node, now).unwrap();
    feed(node, now, &mut given).unwrap();
    let frames: Vec<_> = std::iter::from_fn(|| next_frame(node, now)).collect();
    let acked = |bytes: &Vec<u8>| Request::parse(bytes) == Ok(Request::Ack(id));
    // The ack may wait for the commit that an answer makes.
    assert!(frames.iter().any(acked), "the delivery is acked");
    assert_eq!(world.bodies_from(ALICE, BOB).last().unwrap(), b"in a crowd");
}

#[test]
fn no_more_submissions_are_out_than_there_are_places() {
    let mut world = world(Size::Small, 3);
    world.acquaint(ALICE, BOB);
    for n in 0..10 {
        world.send(ALICE, BOB, &[n]).unwrap();
    }
    let now = world.now;
    let mut out = Vec::new();
    for round in 0..10 {
        out.extend(std::iter::from_fn(|| {
            next_frame(&mut world.nodes[ALICE], now)
        }));
        assert_eq!(out.len(), DEVICE_QUEUE.min(10 - round));
        assert!(world.timeout(ALICE).is_none_or(|due| due > now));
        let first = out.remove(0);
        world.serve(ALICE, &first);
        let mut answer = world.nodes[ALICE].inbound.pop_front().unwrap();
        feed(&mut world.nodes[ALICE], now, &mut answer).unwrap();
    }
    world.settle(1);
    let arrived = world.bodies_from(BOB, ALICE);
    assert!(arrived[1..].iter().map(|body| body[0]).eq(0..10));
}

#[test]
fn a_relay_that_does_not_read_takes_no_place_of_another() {
    let mut world = world(Size::SmallWithTwoLinks, 4);
    world.acquaint(ALICE, BOB);
    let now = world.now;
    let node = &mut world.nodes[ALICE];
    welcome(node, now, OTHER);
    let refused = (0..9).find(|n| feed_on(node, now, OTHER, &mut frame(&notice(*n))).is_err());
    assert_eq!(refused, Some(DEVICE_QUEUE as u8 - 1));
    world.send(BOB, ALICE, b"over the one that reads").unwrap();
    world.speak(BOB);
    let (sender, envelope) = world.withhold(ALICE).pop().unwrap();
    assert_eq!(world.deliver(ALICE, sender, &envelope), Verdict::Acked);
    let told = std::iter::from_fn(|| next_on(&mut world.nodes[ALICE], now, OTHER)).count();
    assert_eq!(told, DEVICE_QUEUE - 1);
}

#[test]
fn what_comes_before_the_welcome_takes_no_place() {
    let mut world = World::of_sizes(&[Size::Small, Size::Host], 5);
    let now = world.now;
    let node = &mut world.nodes[ALICE];
    for link in [LINK, OTHER, u8::MAX] {
        for n in 0..9 {
            let early = feed_on(node, now, link, &mut frame(&notice(n)));
            assert_eq!(early, Err(EndpointError::Wire(WireError::Value)));
        }
    }
    world.settle(1);
    assert!(world.told(ALICE).count() == 0);
}
