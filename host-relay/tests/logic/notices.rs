//! Notices wait, add up, and go only when their owner has stored them.

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_relay::limits::Limits;
use hushwire_relay::request::{Answer, Request};

use super::world::{ALICE, BOB, CAROL, WIDE, World};

const UNOPENED: NoticeKind = NoticeKind::Unopened;

/// Alice's letters, refused by Bob.
fn refuse(world: &mut World, alice: hushwire_relay::relay::ConnId, letters: &[&[u8]]) {
    let bob = world.log_in(BOB, WIDE);
    for letter in letters {
        world.submit(alice, BOB, letter).unwrap();
        world.ask(bob, Request::Refuse(EnvelopeId::of(letter)));
    }
    world.settle();
}

#[test]
fn they_add_up_until_they_are_noted() {
    let mut world = World::new();
    world.register(BOB);
    let alice = world.register(ALICE);
    refuse(&mut world, alice, &[b"1", b"2", b"3"]);
    assert_eq!(
        world.notices(alice),
        [(UNOPENED, BOB, 1)],
        "one at a time, no flood"
    );

    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(
        world.notices(alice),
        [(UNOPENED, BOB, 3)],
        "they outlive a crash"
    );
    refuse(&mut world, alice, &[b"4"]);
    world.ask(
        alice,
        Request::Noted {
            kind: UNOPENED,
            peer: BOB,
            count: 3,
        },
    );
    assert_eq!(
        world.notices(alice),
        [(UNOPENED, BOB, 1)],
        "what came meanwhile is told"
    );
    world.ask(
        alice,
        Request::Noted {
            kind: UNOPENED,
            peer: BOB,
            count: 1,
        },
    );
    world.settle();

    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), []);
}

#[test]
fn noting_what_was_not_told_changes_nothing() {
    let mut world = World::new();
    world.register(BOB);
    let alice = world.register(ALICE);
    refuse(&mut world, alice, &[b"1"]);
    world.ask(
        alice,
        Request::Noted {
            kind: UNOPENED,
            peer: CAROL,
            count: u32::MAX,
        },
    );
    let kind = NoticeKind::SentExpired;
    world.ask(
        alice,
        Request::Noted {
            kind,
            peer: BOB,
            count: u32::MAX,
        },
    );
    world.settle();
    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), [(UNOPENED, BOB, 1)]);
}

#[test]
fn a_long_list_comes_in_portions_and_its_length_is_bounded() {
    let limits = Limits {
        notices: 40,
        mailbox_messages: 1,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"fills the mailbox").unwrap();
    for n in 1..=60u8 {
        let stranger = world.log_in(Address([n; 20]), WIDE);
        world.submit(stranger, BOB, &[n, n]).unwrap_err();
        world.leave(stranger);
    }

    let bob = world.log_in(BOB, WIDE);
    let (mut told, mut unnamed) = (0, 0);
    for _ in 0..10 {
        let notices = world.notices(bob);
        assert!(notices.len() <= 16);
        for (kind, peer, count) in notices {
            told += 1;
            if peer == Address::ZERO {
                unnamed += count;
            }
            world.ask(bob, Request::Noted { kind, peer, count });
        }
    }
    assert_eq!(
        (told, unnamed),
        (41, 20),
        "forty by name, the rest added up"
    );
}

#[test]
fn who_has_no_mailbox_gets_no_notices() {
    let mut world = World::new();
    let bob = world.register(BOB);
    let stranger = world.log_in(CAROL, WIDE);
    world.submit(stranger, BOB, b"hi").unwrap();
    world.ask(bob, Request::Refuse(EnvelopeId::of(b"hi")));
    world.settle();
    let heard = world.hear(stranger);
    assert!(matches!(heard[..], [Answer::Welcome(_)]), "{heard:?}");
}
