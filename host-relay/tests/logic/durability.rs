//! `accepted` is custody: never before the disk or the recipient has the message.

use std::sync::atomic::Ordering;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::limits::Limits;
use hushwire_relay::request::{Answer, Command, Reply, Request};
use hushwire_relay::store::{Store as _, Table, Write};

use super::world::{ALICE, BOB, WIDE, World, prekeys, submission};

fn accepted(envelope: &[u8]) -> Answer {
    Answer::Accepted(EnvelopeId::of(envelope))
}

#[test]
fn no_accepted_before_the_commit_but_delivery_at_once() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"hi"));
    assert_eq!(world.hear(alice), []);
    assert_eq!(
        world.deliveries(bob).len(),
        1,
        "who is there gets it without the disk"
    );

    let writes = world.relay.poll_commit().unwrap();
    world.act();
    assert_eq!(world.hear(alice), [], "handed to the disk is not on it");
    assert!(matches!(writes[..], [Write::Put(..)]));
    world.relay.settle(true);
    world.act();
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
}

#[test]
fn the_recipients_ack_is_custody_too_and_spares_the_disk() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"hi"));
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
    let writes = world.relay.poll_commit().unwrap();
    let stored = writes
        .iter()
        .any(|write| format!("{write:?}").contains("Message("));
    assert!(!stored, "{writes:?}");
}

/// Of one that could not be opened nothing is left but the notice: the disk has to have that first.
#[test]
fn a_refusal_is_no_custody_until_its_notice_is_durable() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    for durable in [false, true] {
        let envelope = [u8::from(durable); 9];
        let id = EnvelopeId::of(&envelope);
        world.ask(alice, submission(BOB, &envelope));
        world.ask(bob, Request::Refuse(id));
        world.store.fails.store(!durable, Ordering::Relaxed);
        let notices = world.notices(alice).len();
        assert_eq!(notices, usize::from(!durable), "told while she is there");
        world.settle_one();
        let rejected = Answer::Rejected {
            id,
            reason: Reason::StoreTrouble,
            retry_s: 5,
        };
        let answer = if durable {
            accepted(&envelope)
        } else {
            rejected
        };
        assert_eq!(world.hear(alice), [answer]);
    }
    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), [(NoticeKind::Unopened, BOB, 2)]);
}

#[test]
fn an_ack_while_the_disk_works_deletes_afterwards() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"hi"));
    let writes = world.relay.poll_commit().unwrap();
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
    hushwire_relay::store::Store::commit(&*world.store, &writes).unwrap();
    world.relay.settle(true);
    world.settle();
    assert_eq!(world.hear(alice), [], "accepted once");

    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob), []);
}

#[test]
fn a_failed_commit_accepts_nothing_and_all_goes_on_afterwards() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"before").unwrap();
    world.store.fails.store(true, Ordering::Relaxed);

    // One batch on its way, one behind it: both fail.
    world.ask(alice, submission(BOB, b"first"));
    let _ = world.relay.poll_commit().unwrap();
    world.ask(alice, submission(BOB, b"second"));
    world.relay.settle(false);
    world.act();
    let rejected = |envelope: &[u8]| Answer::Rejected {
        id: EnvelopeId::of(envelope),
        reason: Reason::StoreTrouble,
        retry_s: 5,
    };
    assert_eq!(world.hear(alice), [rejected(b"first"), rejected(b"second")]);
    assert_eq!(
        world.submit(alice, BOB, b"third"),
        Err(Reason::StoreTrouble)
    );
    let failed = world.order(bob, Command::Leave);
    assert_eq!(
        failed,
        Reply::Failed {
            reason: Reason::StoreTrouble,
            retry_s: 5
        }
    );

    world.store.fails.store(false, Ordering::Relaxed);
    world.hear(bob);
    assert_eq!(world.submit(alice, BOB, b"third"), Ok(()));
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    let stored: Vec<_> = world
        .deliveries(bob)
        .into_iter()
        .map(|(_, envelope)| envelope)
        .collect();
    assert!(stored.contains(&b"third".to_vec()));
    assert!(!stored.contains(&b"first".to_vec()) && !stored.contains(&b"second".to_vec()));
}

/// A client that cannot be served is closed, not left to wait, and finds its message when it comes
/// again.
#[test]
fn a_read_that_fails_ends_the_link_and_loses_nothing() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"waits").unwrap();

    world.store.is_unreadable.store(true, Ordering::Relaxed);
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.closed, [bob]);
    assert_eq!(world.deliveries(bob), []);
    world.store.is_unreadable.store(false, Ordering::Relaxed);
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 1);
}

#[test]
fn an_ack_outlives_a_failing_disk() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"hi").unwrap();
    world.store.fails.store(true, Ordering::Relaxed);
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    world.settle();
    world.store.fails.store(false, Ordering::Relaxed);
    world.settle();
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob), []);
}

/// The key leaves only when its removal is durable, so that no crash hands it out again.
#[test]
fn a_prekey_waits_for_the_disk_and_returns_when_it_fails() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(world.order(bob, prekeys(1)), Reply::Done);
    world.hear(bob);

    world.store.fails.store(true, Ordering::Relaxed);
    let failed = world.order(alice, Command::Fetch(BOB));
    assert_eq!(
        failed,
        Reply::Failed {
            reason: Reason::StoreTrouble,
            retry_s: 5
        }
    );
    world.store.fails.store(false, Ordering::Relaxed);

    world.ask(alice, Request::Numbered(999, Command::Fetch(BOB)));
    assert_eq!(world.hear(alice), [], "not before the disk");
    world.settle();
    let heard = world.hear(alice);
    let [Answer::Numbered(999, reply)] = &heard[..] else {
        panic!("{heard:?}")
    };
    let Reply::Bundle {
        prekey: Some(prekey),
        ..
    } = &**reply
    else {
        panic!("{reply:?}")
    };
    assert_eq!(prekey.id, 1);
}

#[test]
fn sequences_rise_over_a_crash_even_those_that_never_reached_the_disk() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"stored").unwrap();
    world.deliveries(bob);
    world.pass(3_600);
    world.relay.tick(world.now);
    world.settle();
    world.ask(alice, submission(BOB, b"seen, then lost in the crash"));
    let (seen, _) = world.deliveries(bob)[0];

    world.restart();
    let bob = world.log_in(BOB, WIDE);
    let heard = world.hear(bob);
    let Some(Answer::Welcome(welcome)) = heard.first() else {
        panic!("{heard:?}")
    };
    assert!(welcome.next_sequence > seen);
    assert_eq!((welcome.epoch, welcome.waiting), (world.store.epoch(), 1));
}

/// A message that comes after a start has a row of its own.
#[test]
fn what_comes_after_a_start_takes_no_older_ones_place() {
    let mut world = World::new();
    world.register(BOB);
    for envelope in [&b"one"[..], b"two", b"three"] {
        let alice = world.log_in(ALICE, WIDE);
        world.submit(alice, BOB, envelope).unwrap();
        world.restart();
    }
    assert_eq!(world.relay.tally().stored_messages, 3);
    let bob = world.log_in(BOB, WIDE);
    let waiting: Vec<_> = world
        .deliveries(bob)
        .into_iter()
        .map(|(_, one)| one)
        .collect();
    assert_eq!(waiting, [&b"one"[..], b"two", b"three"]);
}

/// What the operator changes is answered when it is durable, and not as done where the disk failed.
#[test]
fn an_operators_answer_waits_for_the_disk() {
    let mut world = World::new();
    world.register(BOB);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"hello").unwrap();

    assert_eq!(world.relay.empty_mailbox(BOB), 1);
    let ticket = world.relay.when_durable();
    world.act();
    assert_eq!(world.settled, [], "nothing was committed yet");
    world.store.fails.store(true, Ordering::Relaxed);
    world.settle_one();
    assert_eq!(world.settled, [(ticket, false)]);

    world.store.fails.store(false, Ordering::Relaxed);
    let again = world.relay.when_durable();
    world.settle_one();
    assert_ne!(again, ticket);
    assert_eq!(world.settled[1..], [(again, true)]);
    assert_eq!(world.relay.tally().failed_commits, 1);
    world.restart();
    assert_eq!(world.relay.tally().stored_messages, 0);
    // With nothing on its way the answer is there at once.
    world.settled.clear();
    let idle = world.relay.when_durable();
    world.act();
    assert_eq!(world.settled, [(idle, true)]);
}

/// The newest leaves its mailbox before those that came earlier, all in one moment of the clock.
#[test]
fn no_sequence_is_given_twice_whatever_left_first() {
    for acked in [&[b"2".as_slice(), b"1"][..], &[b"2"]] {
        let mut world = World::new();
        let (alice, bob) = (world.register(ALICE), world.register(BOB));
        world.ask(alice, submission(BOB, b"1"));
        world.ask(alice, submission(BOB, b"2"));
        world.settle();
        assert_eq!(world.deliveries(bob).len(), 2);
        for envelope in acked {
            world.ask(bob, Request::Ack(EnvelopeId::of(envelope)));
        }
        world.settle();
        assert_eq!(world.submit(alice, BOB, b"3"), Ok(()));
        assert_eq!(world.deliveries(bob).len(), 1, "3 is delivered");
    }
}

/// The clock stands at its ceiling while the disk fails.
#[test]
fn what_comes_after_a_long_trouble_of_the_disk_is_delivered() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(world.submit(alice, BOB, b"before"), Ok(()));
    world.store.fails.store(true, Ordering::Relaxed);
    for _ in 0..200 {
        world.pass(1);
        world.relay.tick(world.now);
        world.settle_one();
    }
    let refused = world.submit(alice, BOB, b"lost");
    assert_eq!(refused, Err(Reason::StoreTrouble));
    assert_eq!(world.deliveries(bob).len(), 2);
    world.store.fails.store(false, Ordering::Relaxed);
    world.pass(5);
    assert_eq!(world.submit(alice, BOB, b"after"), Ok(()));
    assert_eq!(world.deliveries(bob).len(), 1);
}

/// A disk may take a commit and say that it did not. What it holds then was never accepted, and goes.
#[test]
fn rows_of_a_failed_commit_go_and_keep_nothing_from_expiring() {
    let mut world = World::with(Limits {
        mailbox_messages: 5_000,
        sender_share: 1,
        ..Limits::default()
    });
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    for n in 0..1_500_u32 {
        world.ask(alice, submission(BOB, &n.to_be_bytes()));
    }
    let writes = world.relay.poll_commit().unwrap();
    world.store.commit(&writes).unwrap();
    world.relay.settle(false);
    world.act();
    world.hear(alice);
    assert_eq!(world.submit(alice, BOB, b"honest"), Ok(()));
    for _ in 0..10 {
        world.pass(1);
        world.relay.tick(world.now);
        world.settle();
    }
    assert_eq!(world.store.count(Table::Messages).unwrap(), 1);
    assert!(world.relay.tally().oldest_message_s >= 3);

    world.pass(world.limits.expiry.as_secs());
    for _ in 0..2 {
        world.relay.tick(world.now);
        world.settle();
    }
    assert_eq!(world.relay.tally().stored_messages, 0);
    assert_eq!(world.store.count(Table::Messages).unwrap(), 0);
}
