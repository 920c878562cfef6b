//! When a conversation begins anew, and what must not make it do so.

use hushwire_core::{
    endpoint::Cx,
    limits::OVERTAKEN_MS,
    storage::Event,
    wire::{
        EnvelopeId,
        answer::{Answer, NoticeKind},
        reason::Reason,
        request::Request,
    },
};

use crate::common::world::{LINK, Node, World};

fn feed(node: &mut Node, now: u64, answer: &Answer<'_>) {
    let mut frame = vec![0; 4000];
    let len = answer.emit(&mut frame).unwrap();
    let Node {
        device, store, rng, ..
    } = node;
    device
        .handle_frame(&mut Cx { store, rng, now }, LINK, &mut frame[..len])
        .unwrap();
}

fn next_frame(node: &mut Node, now: u64) -> Option<Vec<u8>> {
    let mut out = vec![0; 4096];
    let Node {
        device, store, rng, ..
    } = node;
    let len = device
        .poll_transmit(&mut Cx { store, rng, now }, LINK, &mut out)
        .unwrap()?;
    Some(out[..len].to_vec())
}

fn published(count: u8, seed: u64) -> World {
    let mut world = World::new(count, seed);
    for _ in 0..3 {
        for at in 0..usize::from(count) {
            world.connect(at);
            world.pump(at, 9);
        }
    }
    world
}

fn restarts(node: &Node) -> usize {
    let events = node.store.events.iter();
    events
        .filter(|event| matches!(event, Event::Restarted { .. }))
        .count()
}

/// A wrote first and lost everything before it heard an answer. B's own start must reach it, whoever
/// has the smaller address.
#[test]
fn a_first_writer_that_lost_everything_is_reached_again() {
    for smaller_survives in [false, true] {
        let mut world = published(2, 7);
        let first_is_smaller = world.nodes[0].address < world.nodes[1].address;
        let (survivor, lost) = if first_is_smaller == smaller_survives {
            (0, 1)
        } else {
            (1, 0)
        };
        world.send(lost, survivor, b"one").unwrap();
        for _ in 0..4 {
            world.pump(lost, 9);
        }
        world.disconnect(lost);
        for _ in 0..4 {
            world.pump(survivor, 9);
        }
        assert_eq!(world.inbox(survivor), [b"one"]);
        let now = world.now;
        world.nodes[lost] = Node::reinstalled(lost as u8 + 1, true, now);
        world.send(survivor, lost, b"answer").unwrap();
        world.settle(5);
        assert_eq!(
            world.inbox(lost),
            [b"answer"],
            "smaller survives: {smaller_survives}"
        );
    }
}

/// A new life's bundle replaces the dead one at the relay at once, whatever its counter was.
#[test]
fn a_reinstalled_device_publishes_anew() {
    let mut world = published(2, 3);
    let bob = world.nodes[1].address;
    let (bundle, prekeys) = (
        world.relay[&bob].bundle.clone(),
        world.relay[&bob].prekeys.clone(),
    );
    world.disconnect(1);
    let now = world.now;
    world.nodes[1] = Node::reinstalled(2, true, now);
    world.connect(1);
    world.pump(1, 9);
    assert_ne!(world.relay[&bob].bundle, bundle);
    assert!(
        prekeys
            .iter()
            .all(|old| !world.relay[&bob].prekeys.contains(old))
    );
}

/// What a full mailbox refused does not count among the seals that wait for a receipt in vain.
#[test]
fn patience_with_a_full_mailbox_costs_no_message() {
    let mut world = published(2, 9);
    world.send(0, 1, b"x").unwrap();
    world.settle(1);
    world.connect(0);
    world.pump(0, 9);
    let bob = world.nodes[1].address;
    world.send(0, 1, b"patient").unwrap();
    let mut now = world.now;
    let node = &mut world.nodes[0];
    let mut submits = 0;
    while submits < 40 {
        while let Some(frame) = next_frame(node, now) {
            let Request::Submit { envelope, .. } = Request::parse(&frame).unwrap() else {
                continue;
            };
            submits += 1;
            let id = EnvelopeId::of(envelope);
            if submits == 40 {
                feed(node, now, &Answer::Accepted(id));
            } else {
                let reason = Reason::MailboxFull;
                feed(
                    node,
                    now,
                    &Answer::Rejected {
                        id,
                        reason,
                        retry_after: 0,
                    },
                );
            }
        }
        now += 3_600_000;
    }
    feed(
        node,
        now,
        &Answer::Notice {
            kind: NoticeKind::SentExpired,
            peer: bob,
            count: 1,
        },
    );
    now += 3_600_000;
    let sealed_again = std::iter::from_fn(|| next_frame(node, now))
        .any(|frame| matches!(Request::parse(&frame), Ok(Request::Submit { .. })));
    assert!(sealed_again);
    assert!(
        !node
            .store
            .events
            .iter()
            .any(|event| matches!(event, Event::Failed { .. }))
    );
}

/// A relay whose store was replaced by an older copy has lost what it accepted since. That is sealed
/// again after a moment; where the store is the same nothing is.
#[test]
fn what_a_relay_forgot_is_sent_again() {
    for seed in 9..12 {
        let mut world = published(2, seed);
        world.send(0, 1, b"x").unwrap();
        world.settle(1);
        let bob = world.nodes[1].address;
        world.connect(0);
        world.disconnect(1);
        world.send(0, 1, b"forgotten").unwrap();
        world.pump(0, 9);
        world.pump(0, 9);
        assert_eq!(world.relay[&bob].messages.len(), 1);
        world.disconnect(0);
        // The same store again: nothing was forgotten.
        world.connect(0);
        world.now += 2 * OVERTAKEN_MS;
        world.pump(0, 9);
        assert_eq!(world.relay[&bob].messages.len(), 1);

        world.goes_back_and_is_given_again(0, 1);
        world.connect(1);
        world.settle(1);
        assert_eq!(world.inbox(1), [b"x".as_slice(), b"forgotten"]);
        assert!(
            world
                .told(0)
                .any(|event| matches!(event, Event::RelayWentBack { .. })),
            "and its user hears of it"
        );
    }
}

/// A bundle that the relay kept back until the peer had written itself starts nothing.
#[test]
fn a_late_bundle_restarts_no_healthy_conversation() {
    let mut world = published(2, 9);
    let bob = world.nodes[1].address;
    let bundle = world.relay[&bob].bundle.clone();
    world.send(0, 1, b"a").unwrap();
    let now = world.now;
    let frame = next_frame(&mut world.nodes[0], now).unwrap();
    let Request::Fetch { number, .. } = Request::parse(&frame).unwrap() else {
        panic!()
    };
    world.send(1, 0, b"b").unwrap();
    for _ in 0..10 {
        for at in 0..2 {
            world.pump(at, 9);
        }
    }
    assert_eq!(world.inbox(0), [b"b"]);
    let prekey = None;
    let late = Answer::Bundle {
        number,
        address: bob,
        prekey,
        bundle: &bundle,
    };
    feed(&mut world.nodes[0], now + 1, &late);
    assert_eq!(restarts(&world.nodes[0]), 0);
    world.settle(1);
    assert_eq!(world.inbox(1), [b"a"]);
    assert_eq!(restarts(&world.nodes[0]) + restarts(&world.nodes[1]), 0);
}

/// An ack that waited when its link broke is dropped: nothing keeps the device from sleeping.
#[test]
fn a_broken_link_leaves_nothing_to_do() {
    let mut world = published(2, 9);
    world.send(0, 1, b"x").unwrap();
    for _ in 0..4 {
        world.pump(0, 9);
    }
    let message = world.relay[&world.nodes[1].address].messages[0].clone();
    let now = world.now;
    let deliver = Answer::Deliver {
        sequence: 0,
        stored_at: 0,
        sender: message.sender,
        envelope: &message.envelope,
    };
    feed(&mut world.nodes[1], now, &deliver);
    let Node {
        device, store, rng, ..
    } = &mut world.nodes[1];
    device
        .disconnected(&mut Cx { store, rng, now }, LINK)
        .unwrap();
    assert_eq!(next_frame(&mut world.nodes[1], now), None);
    let Node {
        device, store, rng, ..
    } = &mut world.nodes[1];
    assert_eq!(
        device.poll_timeout(&mut Cx { store, rng, now }).unwrap(),
        None
    );
}
