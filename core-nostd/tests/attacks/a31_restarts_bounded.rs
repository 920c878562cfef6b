//! A31: restarts cannot be forced by strangers at all, nor by the relay above the stated rate: one an
//! hour per contact and side. Counted over two days in which the relay forges all that it can, each
//! minute. A refusal of Alice's makes Bob suspicious, too: she is told of his starts beside her own.

use hushwire_core::{
    identity::Address,
    limits::RESTART_INTERVAL_MS,
    wire::{
        EnvelopeId,
        answer::{Answer, NoticeKind},
        envelope::OVERHEAD,
        reason::Reason,
    },
};
use rand_chacha::rand_core::Rng as _;

use crate::common;
use crate::common::{
    lab::{DAY, HOUR, feed, frame},
    rng,
    world::World,
};

const ALICE: usize = 0;
const BOB: usize = 1;

/// What a relay does to Alice in a minute.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lie {
    Garbage,
    Unopened,
    Expired,
    Rejects,
    Everything,
}

fn garbage(random: &mut common::ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; 32 + OVERHEAD];
    random.fill_bytes(&mut bytes);
    bytes[..3].copy_from_slice(&[1, 1, 1]);
    bytes
}

fn lie(world: &mut World, lie: Lie, of: Address, random: &mut common::ChaCha20Rng) {
    let now = world.now;
    let all = lie == Lie::Everything;
    if all || lie == Lie::Garbage {
        for _ in 0..5 {
            world.deliver(ALICE, of, &garbage(random));
        }
    }
    let alice = &mut world.nodes[ALICE];
    for (kind, told) in [
        (NoticeKind::Unopened, lie == Lie::Unopened),
        (NoticeKind::SentExpired, lie == Lie::Expired),
        (NoticeKind::ReceivedExpired, lie == Lie::Expired),
        (NoticeKind::Refused, lie == Lie::Expired),
    ] {
        if all || told {
            let (peer, count) = (of, u32::MAX);
            let notice = Answer::Notice { kind, peer, count };
            feed(alice, now, &mut frame(&notice)).unwrap();
        }
    }
    if all || lie == Lie::Rejects {
        // Of whatever Alice has submitted to Bob: nobody wants it.
        let sealed = world.sealed(ALICE, BOB);
        let alice = &mut world.nodes[ALICE];
        for envelope in sealed.iter().rev().take(4) {
            let id = EnvelopeId::of(envelope);
            for reason in [Reason::StoreTrouble, Reason::NotAccepted] {
                let retry_after = 1;
                let rejected = Answer::Rejected {
                    id,
                    reason,
                    retry_after,
                };
                feed(alice, now, &mut frame(&rejected)).unwrap();
            }
        }
    }
}

/// Two days of lies; the moments at which Alice was told of a restart, and how often she started.
fn lied_to(what: Lie, about: Option<Address>, silent: bool) -> (World, Vec<u64>, Vec<u64>) {
    let mut random = rng(31);
    let mut world = World::published(2, 1);
    world.acquaint(ALICE, BOB);
    let about = about.unwrap_or(world.nodes[BOB].address);
    let began = world.now;
    let (mut told, mut starts) = (Vec::new(), Vec::new());
    let mut started_at = world.peer(ALICE, BOB).started_at;
    let mut minute = 0_u64;
    while world.now < began + 2 * DAY {
        lie(&mut world, what, about, &mut random);
        if minute.is_multiple_of(30) {
            // Until the outbox is full.
            let _id = world.send(ALICE, BOB, b"on and on");
        }
        world.speak(ALICE);
        if silent {
            let _gone = world.withhold(BOB);
        }
        world.speak(BOB);
        world.speak(ALICE);
        let restarts = world.restarts(ALICE);
        told.resize(restarts, world.now);
        let at = world.peer(ALICE, BOB).started_at;
        if at != started_at {
            starts.push(world.now);
        }
        started_at = at;
        world.now += 60_000;
        minute += 1;
    }
    (world, told, starts)
}

#[test]
fn by_the_relay_once_an_hour_at_most() {
    for what in [
        Lie::Garbage,
        Lie::Unopened,
        Lie::Expired,
        Lie::Rejects,
        Lie::Everything,
    ] {
        for silent in [false, true] {
            let (mut world, told, starts) = lied_to(what, None, silent);
            println!(
                "{what:?}, silent {silent}: {} restarts told, {} own starts in 48 hours",
                told.len(),
                starts.len()
            );
            let spaced = |moments: &[u64], of: usize| {
                let mut windows = moments.windows(of + 1);
                windows.all(|window| window[of] - window[0] >= RESTART_INTERVAL_MS)
            };
            assert!(spaced(&starts, 1), "{what:?}: {starts:?}");
            // Hers and his.
            assert!(spaced(&told, 2), "{what:?}: {told:?}");
            // Then the relay is honest: the conversation lives.
            world.now += 2 * HOUR;
            world.settle(10);
            world.acquaint(ALICE, BOB);
        }
    }
}

#[test]
fn by_strangers_never() {
    for what in [Lie::Garbage, Lie::Unopened, Lie::Expired] {
        let stranger = Address([77; 20]);
        let (world, told, starts) = lied_to(what, Some(stranger), false);
        assert_eq!((told.len(), starts.len()), (0, 0), "{what:?}");
        assert_eq!(world.restarts(BOB), 0);
        assert!(world.nodes[ALICE].store.peer(&stranger).is_none());
        let peer = world.peer(ALICE, BOB);
        assert_eq!((peer.unopened, peer.refused), (0, 0));
        println!("{what:?} of a stranger: no restart");
    }
}

#[test]
fn by_one_contact_not_another_s() {
    let mut world = World::published(3, 3);
    world.acquaint(ALICE, BOB);
    world.acquaint(ALICE, 2);
    let carol = world.nodes[2].address;
    let tag = world.peer(ALICE, BOB).session.as_ref().unwrap().start_tag();
    let mut random = rng(32);
    let began = world.now;
    while world.now < began + 6 * HOUR {
        lie(&mut world, Lie::Everything, carol, &mut random);
        world.minutes(1);
    }
    assert!(world.restarts(ALICE) > 0, "the lies are believed of Carol");
    let session = world.peer(ALICE, BOB).session.as_ref().unwrap();
    assert_eq!(session.start_tag(), tag);
    assert_eq!(world.restarts(BOB), 0);
}
