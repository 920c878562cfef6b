//! A message whose recipient is there spares the disk, for a moment; never its sender's `accepted`.

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::ConnId;
use hushwire_relay::request::{Answer, Request};

use super::world::{ALICE, BOB, NARROW, WIDE, World, submission};

/// Milliseconds that the disk waits in these tests.
const WAIT_MS: u32 = 20;

/// Two people, of whom the second is there.
fn world() -> (World, ConnId, ConnId) {
    let mut world = World::waiting(Limits {
        ack_wait_ms: WAIT_MS,
        ..Limits::default()
    });
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    (world, alice, bob)
}

fn accepted(envelope: &[u8]) -> Answer {
    Answer::Accepted(EnvelopeId::of(envelope))
}

#[test]
fn an_ack_in_time_spares_the_disk() {
    let (mut world, alice, bob) = world();
    world.ask(alice, submission(BOB, b"hi"));
    assert_eq!(world.deliveries(bob).len(), 1);
    assert!(
        world.relay.poll_commit().is_none(),
        "the disk has nothing to do"
    );
    assert_eq!(world.hear(alice), [], "nobody has custody of it yet");

    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
    world.now.mono_us += 1_000_000;
    world.relay.store_overdue(world.now);
    assert!(
        world.relay.poll_commit().is_none(),
        "it never needs the disk"
    );
    assert!(world.relay.is_idle());
    assert_eq!(world.relay.backlog(), 0);
}

#[test]
fn without_an_ack_in_time_the_disk_gets_it() {
    let (mut world, alice, bob) = world();
    world.ask(alice, submission(BOB, b"hi"));
    let due_us = world.relay.next_overdue_us().unwrap();
    assert_eq!(due_us, world.now.mono_us + u64::from(WAIT_MS) * 1000);
    assert!(!world.relay.is_idle(), "a stop waits for it");

    world.now.mono_us = due_us - 1;
    world.relay.store_overdue(world.now);
    assert!(world.relay.poll_commit().is_none());
    world.now.mono_us = due_us;
    world.relay.store_overdue(world.now);
    world.settle();
    assert_eq!(world.hear(alice), [accepted(b"hi")]);

    // The ack that comes later takes it off the disk.
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    world.settle();
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob), []);
}

/// Nor does the relay wake up for what was acked.
#[test]
fn what_was_acked_is_not_looked_for() {
    let (mut world, alice, bob) = world();
    let letters: Vec<_> = (0..20u32).map(u32::to_be_bytes).collect();
    for letter in &letters {
        world.now.mono_us += 100;
        world.ask(alice, submission(BOB, letter));
    }
    let ack = |letter| Request::Ack(EnvelopeId::of(letter));
    for letter in &letters[..19] {
        world.ask(bob, ack(letter));
    }
    world.relay.store_overdue(world.now);
    let due_us = world.now.mono_us + u64::from(WAIT_MS) * 1000;
    assert_eq!(world.relay.next_overdue_us(), Some(due_us));
    world.ask(bob, ack(&letters[19]));
    world.relay.store_overdue(world.now);
    assert_eq!(world.relay.next_overdue_us(), None);
    assert!(world.relay.poll_commit().is_none(), "none is stored");
}

/// Bob may have it although the operator empties his mailbox before he says so: its sender is not told for good
/// that it was not accepted.
#[test]
fn what_the_operator_takes_before_the_ack_is_tried_again() {
    let (mut world, alice, bob) = world();
    world.ask(alice, submission(BOB, b"hi"));
    assert_eq!(world.deliveries(bob).len(), 1);
    assert_eq!(world.relay.empty_mailbox(BOB), 1);
    world.act();
    let [
        Answer::Rejected {
            reason, retry_s, ..
        },
    ] = world.hear(alice)[..]
    else {
        panic!("one refusal");
    };
    assert!(reason.is_passing() && retry_s > 0, "{reason}");
    // It comes again, and whoever has had it says the same again.
    world.ask(alice, submission(BOB, b"hi"));
    assert_eq!(world.deliveries(bob).len(), 1);
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
}

#[test]
fn a_recipient_who_leaves_is_not_waited_for() {
    let (mut world, alice, bob) = world();
    world.ask(alice, submission(BOB, b"hi"));
    world.leave(bob);
    world.settle();
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 1);
}

#[test]
fn a_second_connection_of_the_recipient_gets_no_longer() {
    let (mut world, alice, _) = world();
    world.ask(alice, submission(BOB, b"hi"));
    let due_us = world.relay.next_overdue_us().unwrap();
    world.now.mono_us = due_us;
    let elsewhere = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(elsewhere).len(), 1);
    world.relay.store_overdue(world.now);
    world.settle();
    assert_eq!(world.hear(alice), [accepted(b"hi")]);
}

#[test]
fn what_the_window_holds_back_is_stored_at_once() {
    let (mut world, alice, _) = world();
    let bob = world.log_in(BOB, NARROW);
    world.ask(alice, submission(BOB, b"first"));
    world.ask(alice, submission(BOB, b"second"));
    assert_eq!(world.deliveries(bob).len(), 1, "the window is one");
    world.settle();
    assert_eq!(world.hear(alice), [accepted(b"second")]);
}

#[test]
fn a_stop_stores_what_waits() {
    let (mut world, alice, _) = world();
    world.ask(alice, submission(BOB, b"hi"));
    world.relay.stop();
    world.settle();
    assert!(world.hear(alice).contains(&accepted(b"hi")));
    assert!(world.relay.is_idle());
}

#[test]
fn what_the_disk_refuses_later_is_rejected_like_any_other() {
    let (mut world, alice, _) = world();
    world.ask(alice, submission(BOB, b"hi"));
    world
        .store
        .fails
        .store(true, std::sync::atomic::Ordering::Relaxed);
    world.now.mono_us += 1_000_000;
    world.relay.store_overdue(world.now);
    world.settle_one();
    let heard = world.hear(alice);
    let rejected = |answer: &Answer| {
        matches!(
            answer,
            Answer::Rejected {
                reason: Reason::StoreTrouble,
                ..
            }
        )
    };
    assert!(heard.iter().any(rejected), "{heard:?}");
}
