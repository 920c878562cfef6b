//! Submit, deliver, acknowledge, refuse.

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{ContactsChange, MailboxMode};
use hushwire_relay::limits::{BESIDE, Limits};
use hushwire_relay::relay::{ConnId, PeerLimits};
use hushwire_relay::request::{Answer, Command, Reply, Request};

use super::world::{ALICE, BOB, CAROL, NARROW, WIDE, World, submission};

/// A connection can neither see nor delete what is not its own: there is no request that names
/// another's mailbox, and an id alone moves nothing.
#[test]
fn a1_the_mailbox_of_another_cannot_be_drained_or_acked() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let (alice, mallory) = (world.register(ALICE), world.register(CAROL));
    world.submit(alice, BOB, b"for bob").unwrap();

    let id = EnvelopeId::of(b"for bob");
    world.ask(mallory, Request::Ack(id));
    world.ask(mallory, Request::Refuse(id));
    world.ask(alice, Request::Ack(id));
    world.settle();
    assert_eq!(world.hear(mallory), []);

    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 1);
}

#[test]
fn a_stopped_device_gets_its_messages_in_order_and_within_its_window() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    for n in 0..5u8 {
        world.submit(alice, BOB, &[n]).unwrap();
    }

    let bob = world.log_in(BOB, NARROW);
    let mut last = 0;
    for n in 0..5u8 {
        let deliveries = world.deliveries(bob);
        let [(sequence, envelope)] = deliveries.as_slice() else {
            panic!("{deliveries:?}")
        };
        assert_eq!(envelope, &[n]);
        assert!(*sequence > last);
        last = *sequence;
        world.ask(bob, Request::Ack(EnvelopeId::of(&[n])));
    }
    world.settle();
    assert_eq!(world.deliveries(bob), []);
    assert_eq!(world.relay.tally().stored_messages, 0);
}

#[test]
fn the_relays_own_window_binds_the_greedy() {
    let mut world = World::with(Limits {
        window: 3,
        ..Limits::default()
    });
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    for n in 0..5u8 {
        world.submit(alice, BOB, &[n]).unwrap();
    }
    let bob = world.log_in(
        BOB,
        PeerLimits {
            window: u16::MAX,
            ..WIDE
        },
    );
    assert_eq!(world.deliveries(bob).len(), 3);
}

#[test]
fn a_full_mailbox_whose_owner_is_there_is_worth_a_quick_retry() {
    let limits = Limits {
        mailbox_messages: 4,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"fills the share").unwrap();
    let retry = |world: &mut World| {
        world.ask(alice, submission(BOB, b"more"));
        match world.hear(alice)[..] {
            [
                Answer::Rejected {
                    reason: Reason::ShareFull,
                    retry_s,
                    ..
                },
            ] => retry_s,
            ref heard => panic!("{heard:?}"),
        }
    };
    assert_eq!(retry(&mut world), 1);
    world.leave(bob);
    assert_eq!(retry(&mut world), 2);
}

/// Many messages in one moment, each acked before the next: sequences rise although the clock stands
/// and the mailbox is empty in between.
#[test]
fn sequences_rise_in_a_burst_through_an_empty_mailbox() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    let mut last = 0;
    for n in 0..50u8 {
        for part in 0..2u8 {
            world.submit(alice, BOB, &[n, part]).unwrap();
        }
        let delivered = world.deliveries(bob);
        assert_eq!(delivered.len(), 2, "a message was passed over");
        for (sequence, envelope) in delivered {
            assert!(sequence > last);
            last = sequence;
            world.ask(bob, Request::Ack(EnvelopeId::of(&envelope)));
        }
    }
}

#[test]
fn a_window_is_bounded_in_bytes_and_never_shut() {
    let limits = Limits {
        window_bytes: 2_500,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    for n in 0..3u8 {
        world.submit(alice, BOB, &[n; 1_000]).unwrap();
    }
    assert_eq!(world.deliveries(bob).len(), 2);
    world.ask(bob, Request::Ack(EnvelopeId::of(&[0; 1_000])));
    assert_eq!(world.deliveries(bob).len(), 1);
    world.ask(bob, Request::Ack(EnvelopeId::of(&[1; 1_000])));
    world.ask(bob, Request::Ack(EnvelopeId::of(&[2; 1_000])));
    world.submit(alice, BOB, &[9; 9_000]).unwrap();
    assert_eq!(world.deliveries(bob).len(), 1, "one always goes");
}

/// Poison from a stranger: a window of 1 is never blocked, and the mailbox keeps room for others.
#[test]
fn a28_unopenable_deliveries_block_no_window_and_fill_no_mailbox() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let (mallory, alice) = (world.register(CAROL), world.register(ALICE));

    let mut taken = 0;
    for n in 0..128u8 {
        match world.submit(mallory, BOB, &[1, 1, n]) {
            Ok(()) => taken += 1,
            Err(reason) => assert_eq!(reason, Reason::ShareFull),
        }
    }
    assert_eq!(taken, 32, "a quarter of 128");
    world.submit(alice, BOB, b"honest").unwrap();

    let bob = world.log_in(BOB, NARROW);
    let mut opened = Vec::new();
    for _ in 0..=taken {
        let deliveries = world.deliveries(bob);
        let [(_, envelope)] = deliveries.as_slice() else {
            panic!("the window is blocked")
        };
        let id = EnvelopeId::of(envelope);
        match envelope.as_slice() {
            b"honest" => {
                opened.push(envelope.clone());
                world.ask(bob, Request::Ack(id));
            }
            _ => world.ask(bob, Request::Refuse(id)),
        }
    }
    world.settle();
    assert_eq!(opened, [b"honest"]);
    assert_eq!(world.deliveries(bob), []);

    // The stranger's share is free again, and it learns a count and nothing else.
    assert_eq!(world.notices(mallory), [(NoticeKind::Unopened, BOB, 1)]);
    world.submit(mallory, BOB, b"again").unwrap();
}

/// The relay names an envelope by its own hash: the same bytes are one message, others another,
/// whatever was stored before under whatever name.
#[test]
fn a29_an_id_is_the_hash_of_the_envelope_and_nothing_else() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"one").unwrap();
    world.ask(bob, Request::Ack(EnvelopeId::of(b"two")));
    world.settle();
    assert_eq!(
        world.relay.tally().stored_messages,
        1,
        "an id of other bytes acks nothing"
    );
    world.ask(bob, Request::Ack(EnvelopeId::of(b"one")));
    world.settle();
    assert_eq!(world.relay.tally().stored_messages, 0);
}

#[test]
fn a_repeated_submit_is_accepted_again_and_stored_once() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);

    // Twice before the disk has it, once after, once after a restart.
    world.ask(alice, submission(BOB, b"again"));
    world.submit(alice, BOB, b"again").unwrap();
    world.submit(alice, BOB, b"again").unwrap();
    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    world.submit(alice, BOB, b"again").unwrap();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 1);

    // And after the ack, before and after a restart.
    world.ask(bob, Request::Ack(EnvelopeId::of(b"again")));
    world.submit(alice, BOB, b"again").unwrap();
    world.restart();
    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    world.submit(alice, BOB, b"again").unwrap();
    assert_eq!(world.deliveries(bob), []);
}

#[test]
fn what_was_acknowledged_is_forgotten_in_turn() {
    let mut world = World::with(Limits {
        remembered_acks: 2,
        ..Limits::default()
    });
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    for n in 0..5u8 {
        world.submit(alice, BOB, &[n]).unwrap();
        world.ask(bob, Request::Ack(EnvelopeId::of(&[n])));
        world.settle();
    }
    world.deliveries(bob);
    let again = |world: &mut World, alice: ConnId, bob: ConnId, sent: std::ops::Range<u8>| {
        for n in sent {
            world.submit(alice, BOB, &[n]).unwrap();
        }
        let delivered = world.deliveries(bob).into_iter();
        delivered
            .map(|(_, envelope)| envelope[0])
            .collect::<Vec<_>>()
    };
    // Two generations of two: at least the newest two are known, and no more than twice as many.
    assert!(again(&mut world, alice, bob, 2..5).is_empty());
    world.restart();
    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    assert_eq!(again(&mut world, alice, bob, 0..5), [0, 1]);
}

#[test]
fn unknown_and_forbidden_get_the_same_answer() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(
        world.submit(alice, CAROL, b"1"),
        Err(Reason::NotAccepted),
        "unknown"
    );

    world.order(bob, Command::Mode(MailboxMode::ContactsOnly));
    assert_eq!(
        world.submit(alice, BOB, b"2"),
        Err(Reason::NotAccepted),
        "not a contact"
    );
    world.order(
        bob,
        Command::Contacts(ContactsChange::Add, vec![ALICE, CAROL]),
    );
    assert_eq!(world.submit(alice, BOB, b"3"), Ok(()));
    world.order(bob, Command::Contacts(ContactsChange::Remove, vec![ALICE]));
    assert_eq!(
        world.submit(alice, BOB, b"4"),
        Err(Reason::NotAccepted),
        "no longer a contact"
    );
    world.order(bob, Command::Contacts(ContactsChange::Add, vec![ALICE]));
    world.order(bob, Command::Contacts(ContactsChange::Clear, vec![]));
    assert_eq!(
        world.submit(alice, BOB, b"5"),
        Err(Reason::NotAccepted),
        "no contacts"
    );
    world.order(bob, Command::Mode(MailboxMode::Closed));
    world.order(bob, Command::Contacts(ContactsChange::Add, vec![ALICE]));
    assert_eq!(
        world.submit(alice, BOB, b"6"),
        Err(Reason::NotAccepted),
        "closed"
    );
    world.order(bob, Command::Mode(MailboxMode::Open));
    assert_eq!(world.submit(alice, BOB, b"7"), Ok(()));
}

#[test]
fn a_message_that_the_device_cannot_take_is_refused_or_removed() {
    let mut world = World::new();
    let alice = world.register(ALICE);
    let bob = world.register(BOB);
    world.submit(alice, BOB, &[1; 1_264]).unwrap();
    world.submit(alice, BOB, b"small").unwrap();
    world.deliveries(bob);
    world.leave(bob);

    // Bob comes back as a device whose frames hold 1,300 bytes: opcode, 36 bytes and 1,263.
    let bob = world.log_in(BOB, NARROW);
    let delivered = world.deliveries(bob);
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].1, b"small", "what does not fit blocks nothing");
    world.settle();
    assert_eq!(world.notices(alice), [(NoticeKind::Unopened, BOB, 1)]);
    assert_eq!(world.submit(alice, BOB, &[2; 1_264]), Err(Reason::TooLarge));
    assert_eq!(world.submit(alice, BOB, &[2; 1_263]), Ok(()));
}

#[test]
fn a_second_connection_takes_over_and_the_first_is_told() {
    let mut world = World::new();
    let (alice, first) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"unacked").unwrap();
    world.deliveries(first);

    let second = world.log_in(BOB, WIDE);
    assert_eq!(
        world.notices(first),
        [(NoticeKind::Superseded, Address::ZERO, 0)]
    );
    assert_eq!(world.closed, [first]);
    assert_eq!(
        world.deliveries(second).len(),
        1,
        "what was not acked comes again"
    );

    // The first is no longer heard, not even its end.
    world.ask(first, Request::Ack(EnvelopeId::of(b"unacked")));
    world.leave(first);
    world.submit(alice, BOB, b"next").unwrap();
    assert_eq!(world.relay.tally().stored_messages, 2);
    assert_eq!(world.deliveries(second).len(), 1);
}

#[test]
fn quotas_of_the_mailbox_the_sender_and_the_store() {
    let limits = Limits {
        mailbox_messages: 8,
        mailbox_bytes: 8_000,
        ..Limits::default()
    };
    let mut world = World::with(Limits {
        store_bytes: 2_500 + 2 * BESIDE,
        ..limits
    });
    let bob = world.register(BOB);
    world.leave(bob);
    let (alice, carol) = (world.register(ALICE), world.register(CAROL));
    assert_eq!(world.submit(alice, BOB, &[0; 2_001]), Err(Reason::TooLarge));
    assert_eq!(world.submit(alice, BOB, &[0; 2_000]), Ok(()));
    assert_eq!(world.submit(alice, BOB, b"more"), Err(Reason::ShareFull));
    assert_eq!(
        world.submit(carol, BOB, &[1; 501]),
        Err(Reason::StoreTrouble)
    );
    assert_eq!(world.submit(carol, BOB, &[1; 500]), Ok(()));
    assert_eq!(
        world.submit(carol, BOB, b""),
        Err(Reason::StoreTrouble),
        "the smallest take their part, too"
    );

    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.notices(bob), [(NoticeKind::Refused, ALICE, 1)]);
}

#[test]
fn too_many_submits_are_told_when_to_come_back() {
    let limits = Limits {
        submit_rate: 1,
        submit_burst: 2,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let (alice, _bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"1").unwrap();
    world.submit(alice, BOB, b"2").unwrap();
    world.ask(alice, submission(BOB, b"3"));
    let id = EnvelopeId::of(b"3");
    let reason = Reason::RateLimited;
    assert_eq!(
        world.hear(alice),
        [Answer::Rejected {
            id,
            reason,
            retry_s: 1
        }]
    );

    // A new connection of the same identity has no new allowance.
    let alice = world.log_in(ALICE, WIDE);
    world.hear(alice);
    assert_eq!(world.submit(alice, BOB, b"3"), Err(Reason::RateLimited));
    world.pass(1);
    assert_eq!(world.submit(alice, BOB, b"3"), Ok(()));
}

#[test]
fn a_stopping_relay_takes_nothing_new_and_settles_the_rest() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"in flight"));
    world.relay.stop();
    world.act();
    assert!(
        world
            .notices(bob)
            .contains(&(NoticeKind::Stopping, Address::ZERO, 0))
    );
    assert_eq!(world.submit(alice, BOB, b"late"), Err(Reason::Stopping));
    let accepted = Answer::Accepted(EnvelopeId::of(b"in flight"));
    assert!(world.hear(alice).contains(&accepted));
    let failed = Reply::Failed {
        reason: Reason::Stopping,
        retry_s: 5,
    };
    assert_eq!(world.order(alice, Command::Status), failed);
    assert!(world.relay.is_idle());
    world.relay.close_all();
    world.act();
    assert_eq!(world.closed.len(), 2);
}
