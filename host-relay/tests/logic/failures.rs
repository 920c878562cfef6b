//! A commit that fails undoes what is answered as failed, and nothing else.

use std::sync::atomic::Ordering;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::ConnId;
use hushwire_relay::request::{Answer, Command, Reply, Request};
use hushwire_relay::store::{Key, Store as _, Table, Write};

use super::world::{ALICE, BOB, NARROW, WIDE, World, submission};

fn fails(world: &World, fails: bool) {
    world.store.fails.store(fails, Ordering::Relaxed);
}

#[track_caller]
fn only_hears_rejected(world: &mut World, conn: ConnId, why: Reason) {
    let said = world.hear(conn);
    let is_it = matches!(said[..], [Answer::Rejected { reason, .. }] if reason == why);
    assert!(is_it, "{said:?}");
}

/// A leave of which the disk took nothing did not happen.
#[test]
fn a_leave_that_failed_deletes_no_accepted_mail() {
    let mut world = World::new();
    let bob = world.register(BOB);
    let bob = {
        world.leave(bob);
        world.log_in(BOB, NARROW)
    };
    let alice = world.register(ALICE);
    for letter in [b"1", b"2", b"3"] {
        assert_eq!(world.submit(alice, BOB, letter), Ok(()));
    }
    fails(&world, true);
    let failed = Reply::Failed {
        reason: Reason::StoreTrouble,
        retry_s: 5,
    };
    assert_eq!(world.order(bob, Command::Leave), failed);
    fails(&world, false);
    world.settle();
    world.hear(bob);

    world.restart();
    let bob = world.log_in(BOB, WIDE);
    let heard = world.hear(bob);
    let Some(Answer::Welcome(welcome)) = heard.first() else {
        panic!("{heard:?}")
    };
    assert_eq!(welcome.bundle_counter, 1, "he is registered still");
    assert_eq!(
        welcome.waiting, 3,
        "and three messages were accepted for him"
    );
}

/// While the leave is on its way the rows look as if they were of no mailbox.
#[test]
fn a_tick_before_a_leave_fails_deletes_no_accepted_mail() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.leave(bob);
    for letter in [b"1", b"2", b"3"] {
        assert_eq!(world.submit(alice, BOB, letter), Ok(()));
    }
    let bob = world.log_in(BOB, WIDE);
    world.hear(bob);
    world.ask(bob, Request::Numbered(9, Command::Leave));
    let _leaves = world.relay.poll_commit().unwrap();
    world.pass(1);
    world.relay.tick(world.now);
    world.relay.settle(false);
    world.act();
    world.settle();

    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 3);
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob).len(), 3, "and on the disk");
}

/// Ten messages wait for Bob, who leaves and publishes again before the disk has said anything; one more is sent to him.
fn leave_and_come_again(world: &mut World) -> (ConnId, ConnId) {
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.leave(bob);
    for n in 0..10 {
        assert_eq!(world.submit(alice, BOB, &[n]), Ok(()));
    }
    let bob = world.log_in(BOB, WIDE);
    world.ask(bob, Request::Numbered(8, Command::Leave));
    let bundle = BOB.0.as_slice().into();
    let publish = Command::Publish { counter: 1, bundle };
    world.ask(bob, Request::Numbered(9, publish));
    world.ask(alice, submission(BOB, b"newer"));
    (alice, bob)
}

/// The commit fails: the ten are there again, in their order, and the newer one never was.
#[track_caller]
fn fails_and_is_as_it_was(world: &mut World, alice: ConnId) {
    let _failing = world.relay.poll_commit().unwrap();
    world.relay.settle(false);
    world.act();
    only_hears_rejected(world, alice, Reason::StoreTrouble);
    assert!(world.relay.is_idle(), "nothing waits for an ack");
    let bob = world.log_in(BOB, WIDE);
    let letters = world.deliveries(bob).into_iter();
    let letters: Vec<_> = letters.map(|(_, letter)| letter).collect();
    assert_eq!(letters, (0..10).map(|n| vec![n]).collect::<Vec<_>>());
}

/// Somebody writes to who leaves and registers anew, before any of it is durable.
#[test]
fn mail_of_a_leave_that_failed_goes_before_what_came_meanwhile() {
    let mut world = World::new();
    let (alice, bob) = leave_and_come_again(&mut world);
    world.leave(bob);
    fails_and_is_as_it_was(&mut world, alice);
}

/// The newer one waits in memory for its recipient's ack, and in no batch.
#[test]
fn mail_of_a_leave_that_failed_goes_before_what_waits_in_memory() {
    let mut world = World::waiting(Limits {
        ack_wait_ms: 50,
        ..Limits::default()
    });
    let (alice, _bob) = leave_and_come_again(&mut world);
    fails_and_is_as_it_was(&mut world, alice);
}

/// A disk may take the commit and say that it did not: then the identity has left, whether the store can be
/// asked at once or only later.
#[test]
fn a_leave_that_happened_though_the_disk_failed_locks_nobody_out() {
    for is_unreadable in [false, true] {
        let mut world = World::new();
        let (alice, bob) = (world.register(ALICE), world.register(BOB));
        world.leave(bob);
        for letter in [b"1", b"2", b"3"] {
            assert_eq!(world.submit(alice, BOB, letter), Ok(()));
        }
        let bob = world.log_in(BOB, WIDE);
        world.ask(bob, Request::Numbered(9, Command::Leave));
        let writes = world.relay.poll_commit().unwrap();
        world.store.commit(&writes).unwrap();
        world
            .store
            .is_unreadable
            .store(is_unreadable, Ordering::Relaxed);
        world.relay.settle(false);
        world.act();
        world.store.is_unreadable.store(false, Ordering::Relaxed);

        let closed = world.closed.len();
        let bob = world.register(BOB);
        assert_eq!(world.closed.len(), closed, "his link stays");
        assert_eq!(world.relay.tally().stored_messages, 0);
        assert_eq!(world.submit(alice, BOB, b"after"), Ok(()));
        assert_eq!(world.deliveries(bob).len(), 1);
    }
}

/// What is acknowledged before its own commit fails was never on the disk: nothing is to be deleted there.
#[test]
fn an_ack_of_what_never_got_to_the_disk_leaves_nothing_to_delete() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"one"));
    let _failing = world.relay.poll_commit().unwrap();
    world.ask(bob, Request::Ack(EnvelopeId::of(b"one")));
    world.relay.settle(false);
    world.act();
    let deletes_messages = |write: &Write| matches!(write, Write::Delete(Key::Message(_)));
    let next = world.relay.poll_commit().unwrap_or_default();
    assert!(!next.iter().any(deletes_messages), "{next:?}");
}

/// Neither the disk nor the recipient has what its device turned out to have no room for.
#[test]
fn what_is_too_long_for_a_device_is_accepted_only_where_the_disk_has_it() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.leave(bob);
    let long = vec![7; usize::from(NARROW.max_frame) + 1];
    world.ask(alice, submission(BOB, &long));
    world.log_in(BOB, NARROW);
    world.act();
    only_hears_rejected(&mut world, alice, Reason::TooLarge);
    world.settle();
    assert_eq!(world.relay.tally().stored_messages, 0);
    assert_eq!(world.store.count(Table::Messages).unwrap(), 0);
}

/// Expiry deletes and tells both sides in one batch.
#[test]
fn what_expires_while_the_disk_fails_is_told_all_the_same() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"waits").unwrap();
    world.leave(alice);
    for _ in 0..21 * 24 + 2 {
        world.pass(3_600);
        world.relay.tick(world.now);
        // One commit fails, the one with the expiry.
        fails(
            &world,
            world.relay.tally().expired == 1 && world.relay.tally().failed_commits == 0,
        );
        world.settle_one();
        fails(&world, false);
        world.settle();
    }
    assert_eq!(world.relay.tally().failed_commits, 1);
    world.settle();
    assert_eq!(world.relay.tally().stored_messages, 0, "it is gone");
    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    assert_eq!(world.notices(alice), [(NoticeKind::SentExpired, BOB, 1)]);
    assert_eq!(
        world.notices(bob),
        [(NoticeKind::ReceivedExpired, ALICE, 1)]
    );
}

/// The same by `mailbox rm`: asked again, it finds nothing left.
#[test]
fn an_rm_that_failed_and_is_asked_again_tells_both_sides() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"waits").unwrap();
    fails(&world, true);
    assert_eq!(world.relay.empty_mailbox(BOB), 1);
    world.settle_one();
    world.hear(alice);
    fails(&world, false);
    world.relay.empty_mailbox(BOB);
    world.settle();
    world.leave(alice);
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), [(NoticeKind::SentExpired, BOB, 1)]);
}

/// A refusal is an answer like an ack, and outlives a failing disk as one, with its notice.
#[test]
fn a_refusal_outlives_a_failing_disk_with_its_notice() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"does not open").unwrap();
    world.leave(alice);
    fails(&world, true);
    world.ask(bob, Request::Refuse(EnvelopeId::of(b"does not open")));
    world.settle();
    fails(&world, false);
    world.settle();
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob), [], "it is gone");
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), [(NoticeKind::Unopened, BOB, 1)]);
}

/// An ack outlives a failing disk, and so does what makes a repeated submit of its message harmless.
#[test]
fn an_ack_while_the_disk_fails_is_remembered_over_an_orderly_stop() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"hi").unwrap();
    fails(&world, true);
    world.ask(bob, Request::Ack(EnvelopeId::of(b"hi")));
    world.relay.tick(world.now);
    world.settle_one();
    fails(&world, false);
    for _ in 0..100 {
        world.pass(1);
        world.relay.tick(world.now);
        world.settle();
    }
    world.relay.stop();
    world.settle();
    world.restart();
    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    assert_eq!(world.submit(alice, BOB, b"hi"), Ok(()));
    assert_eq!(
        world.deliveries(bob),
        [],
        "acknowledged a hundred seconds before an orderly stop"
    );
}
