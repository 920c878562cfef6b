//! Bounds are exact, outlast a tick and a start, and bind everybody.

use std::sync::atomic::Ordering;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::ContactsChange;
use hushwire_relay::limits::{Limits, Registration};
use hushwire_relay::relay::Full;
use hushwire_relay::request::{Answer, Command, Reply, Request};

use super::world::{ALICE, BOB, CAROL, NARROW, WIDE, World, prekeys, submission};

/// The operator's lists have so many rows in all.
const MOST_ROWS: usize = 100_000;
/// What a delivery's frame has beside the envelope.
const DELIVER_OVERHEAD: usize = 37;

fn failed(reason: Reason) -> Reply {
    Reply::Failed { reason, retry_s: 0 }
}

fn address(n: u32) -> Address {
    let mut address = Address([0; 20]);
    address.0[..4].copy_from_slice(&n.to_be_bytes());
    address
}

fn has_prekey(world: &mut World, asker: hushwire_relay::relay::ConnId) -> bool {
    match world.order(asker, Command::Fetch(BOB)) {
        Reply::Bundle { prekey, .. } => prekey.is_some(),
        reply => panic!("{reply:?}"),
    }
}

/// What is forgotten each second is what is over, not what still binds.
#[test]
fn a_tick_forgives_no_rate() {
    let mut world = World::with(Limits {
        submit_burst: 2,
        submit_rate: 1,
        request_burst: 100,
        prekey_burst: 1,
        ..Limits::default()
    });
    let bob = world.register(BOB);
    world.order(bob, prekeys(9));
    world.register(ALICE);
    world.restart();
    // She asks for nothing: one of her rates is untouched.
    let alice = world.log_in(ALICE, WIDE);
    for envelope in [b"1", b"2"] {
        assert_eq!(world.submit(alice, BOB, envelope), Ok(()));
    }
    world.relay.tick(world.now);
    assert_eq!(world.submit(alice, BOB, b"3"), Err(Reason::RateLimited));

    assert!(has_prekey(&mut world, alice));
    world.relay.tick(world.now);
    assert!(!has_prekey(&mut world, alice), "once an hour");
}

#[test]
fn a_fetch_that_found_no_prekey_costs_none() {
    let mut world = World::with(Limits {
        prekey_burst: 1,
        ..Limits::default()
    });
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    for _ in 0..3 {
        assert!(!has_prekey(&mut world, alice));
    }
    assert!(!has_prekey(&mut world, bob), "his own");
    assert_eq!(world.relay.tally().prekeys_exhausted, 3);
    world.order(alice, prekeys(3));
    world.order(bob, prekeys(2));
    assert!(has_prekey(&mut world, alice));
    assert_eq!(world.relay.tally().prekeys_exhausted, 3);
    assert_eq!(world.relay.tally().prekeys_low, 1);
}

#[test]
fn what_is_as_large_as_it_may_be_is_taken() {
    let mut world = World::with(Limits {
        contacts: 2,
        ..Limits::default()
    });
    let bob = world.register(BOB);
    let publish = |counter, len| Command::Publish {
        counter,
        bundle: vec![0; len].into(),
    };
    assert_eq!(world.order(bob, publish(2, 4_096)), Reply::Done);
    let too_large = failed(Reason::TooLarge);
    assert_eq!(world.order(bob, publish(3, 4_097)), too_large);
    assert_eq!(world.order(bob, prekeys(128)), Reply::Done);
    assert_eq!(world.order(bob, prekeys(129)), too_large);

    let add = |list: &[Address]| Command::Contacts(ContactsChange::Add, list.to_vec());
    assert_eq!(world.order(bob, add(&[ALICE])), Reply::Done);
    assert_eq!(world.order(bob, add(&[CAROL])), Reply::Done);
    assert_eq!(
        world.order(bob, add(&[address(1), address(2)])),
        too_large,
        "beyond by more than one"
    );
    assert_eq!(world.order(bob, add(&[address(1)])), too_large);
}

/// The operator may lower a bound: what is above it by then can be made less, and no more.
#[test]
fn a_contact_list_above_a_lowered_bound_can_be_made_shorter() {
    let mut world = World::with(Limits {
        contacts: 3,
        ..Limits::default()
    });
    let bob = world.register(BOB);
    let change = |change, list: &[Address]| Command::Contacts(change, list.to_vec());
    let all = change(ContactsChange::Add, &[ALICE, CAROL, address(1)]);
    assert_eq!(world.order(bob, all), Reply::Done);
    world.limits.contacts = 1;
    world.restart();

    let bob = world.log_in(BOB, WIDE);
    for (done, of, expected) in [
        (ContactsChange::Add, address(2), failed(Reason::TooLarge)),
        (ContactsChange::Remove, address(1), Reply::Done),
        (ContactsChange::Remove, CAROL, Reply::Done),
    ] {
        assert_eq!(world.order(bob, change(done, &[of])), expected);
    }
}

/// The largest frame of a device is known from its registration on, while it is away, too.
#[test]
fn a_device_gets_what_just_fits_its_frames() {
    let mut world = World::new();
    let bob = world.log_in(BOB, NARROW);
    let bundle = [1].as_slice().into();
    let publish = Command::Publish { counter: 1, bundle };
    assert_eq!(world.order(bob, publish), Reply::Done);
    world.leave(bob);
    world.restart();

    let alice = world.register(ALICE);
    let fits = usize::from(NARROW.max_frame) - DELIVER_OVERHEAD;
    assert_eq!(
        world.submit(alice, BOB, &vec![7; fits + 1]),
        Err(Reason::TooLarge)
    );
    assert_eq!(world.submit(alice, BOB, &vec![7; fits]), Ok(()));
    let bob = world.log_in(BOB, NARROW);
    assert_eq!(world.deliveries(bob).len(), 1);
}

/// To count them is to wait for the disk, which may hang with a commit: nobody else would be served meanwhile.
#[test]
fn free_bytes_are_not_counted_while_a_commit_is_on_its_way() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.ask(alice, submission(BOB, b"one"));
    let _hangs = world.relay.poll_commit().unwrap();
    world.store.file.store(u64::MAX / 2, Ordering::Relaxed);
    world.relay.tick(world.now);
    assert_eq!(world.store.counted.load(Ordering::Relaxed), 0);
    world.relay.settle(true);
    world.act();
    assert_eq!(world.store.counted.load(Ordering::Relaxed), 1);
    world.hear(bob);
    let refused = world.submit(alice, BOB, b"two");
    assert_eq!(refused, Err(Reason::StoreTrouble), "the file is full");
}

/// Bans, invitations and expectations share one bound.
#[test]
fn the_operators_lists_end_at_a_hundred_thousand_rows() {
    let mut world = World::new();
    let mut all = 0..MOST_ROWS as u32 + 1;
    for n in all.by_ref().take(MOST_ROWS - 3) {
        world.relay.ban(address(n), 0).unwrap();
    }
    for secret in [[1; 16], [2; 16]] {
        world.relay.make_invite(secret, 1, 0).unwrap();
    }
    assert_eq!(world.relay.expect(ALICE).unwrap(), Ok(true));
    assert_eq!(world.relay.expect(BOB).unwrap(), Err(Full));
    assert_eq!(world.relay.make_invite([3; 16], 1, 0), Err(Full));
    assert_eq!(world.relay.ban(BOB, 0), Err(Full));
    assert_eq!(world.relay.ban(address(0), 9), Ok(()), "it has its row");
    assert!(world.relay.unban(&address(0)));
    assert_eq!(world.relay.ban(BOB, 0), Ok(()));
}

/// A row that is made after a start takes no other one's place.
#[test]
fn the_operators_rows_are_numbered_on_over_a_start() {
    let mut world = World::new();
    for barred in [ALICE, BOB, CAROL] {
        world.relay.ban(barred, 0).unwrap();
        world.settle();
        world.restart();
    }
    assert_eq!(world.relay.bans(), [(ALICE, 0), (BOB, 0), (CAROL, 0)]);
}

#[test]
fn an_invitation_is_good_until_its_last_second_and_over_every_tick() {
    let mut world = World::with(Limits {
        registration: Registration::Invite,
        ..Limits::default()
    });
    let until = world.now.unix_s + 10;
    let invite = world.relay.make_invite([5; 16], 1, until).unwrap();
    world.settle();
    let alice = world.log_in(ALICE, WIDE);
    world.pass(9);
    world.relay.tick(world.now);
    world.settle();
    assert_eq!(world.order(alice, Command::Invite(invite)), Reply::Done);
    let bob = world.log_in(BOB, WIDE);
    world.pass(1);
    assert_eq!(
        world.order(bob, Command::Invite(invite)),
        failed(Reason::Invitation)
    );
}

/// A sender that repeats itself before the disk has answered hears `accepted` once; another
/// connection that sends the same hears it, too.
#[test]
fn a_repeat_before_the_commit_is_accepted_once_on_each_connection() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let (alice, carol) = (world.register(ALICE), world.register(CAROL));
    for conn in [alice, alice, carol, alice] {
        world.ask(conn, submission(BOB, b"once"));
    }
    world.settle();
    let accepted = [Answer::Accepted(EnvelopeId::of(b"once"))];
    assert_eq!(world.hear(alice), accepted);
    assert_eq!(world.hear(carol), accepted);
    assert_eq!(world.relay.tally().stored_messages, 1);
}

/// What was under way to one who leaves holds up nothing of what comes after.
#[test]
fn who_leaves_and_registers_again_has_an_empty_window() {
    let mut world = World::with(Limits {
        window: 1,
        ..Limits::default()
    });
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"never answered").unwrap();
    assert_eq!(world.deliveries(bob).len(), 1);
    assert_eq!(world.order(bob, Command::Leave), Reply::Done);
    let bundle = [2].as_slice().into();
    let publish = Command::Publish { counter: 2, bundle };
    assert_eq!(world.order(bob, publish), Reply::Done);
    world.submit(alice, BOB, b"anew").unwrap();
    let delivered = world.deliveries(bob);
    assert!(matches!(&delivered[..], [(_, envelope)] if envelope == b"anew"));
}

/// The caller stops reading when too much gathers, and stops when nothing does.
#[test]
fn what_gathers_is_counted_until_it_is_durable_or_acknowledged() {
    let mut world = World::waiting(Limits::default());
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert!(world.relay.is_idle());
    assert_eq!(world.relay.backlog(), 0);
    world.ask(alice, submission(BOB, &[1; 500]));
    assert_eq!(world.relay.backlog(), 500, "in memory only");
    assert!(!world.relay.is_idle());
    world.ask(bob, Request::Ack(EnvelopeId::of(&[1; 500])));
    assert_eq!(world.relay.backlog(), 0);
    assert!(world.relay.is_idle());

    world.leave(bob);
    world.ask(alice, submission(BOB, &[2; 500]));
    let backlog = world.relay.backlog();
    assert!((500..1_000).contains(&backlog), "its row: {backlog}");
    assert_eq!(world.relay.tally().backlog_bytes, backlog as u64);
    world.settle();
    assert_eq!(world.relay.backlog(), 0);
}

/// The figures that the metrics show.
#[test]
fn everything_is_counted_once() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    let before = world.relay.tally();
    for envelope in [b"one".as_slice(), b"two", b"three"] {
        world.submit(alice, BOB, envelope).unwrap();
    }
    let waiting = world.relay.tally();
    assert_eq!((waiting.connections, waiting.mailboxes), (1, 1));
    assert_eq!((waiting.stored_messages, waiting.stored_bytes), (3, 11));
    assert_eq!(waiting.submitted - before.submitted, 3);
    assert_eq!(waiting.accepted - before.accepted, 3);
    assert_eq!(waiting.requests - before.requests, 3);

    world.log_in(BOB, WIDE);
    let bob = world.log_in(BOB, WIDE);
    world.ask(bob, Request::Ack(EnvelopeId::of(b"one")));
    world.ask(bob, Request::Ack(EnvelopeId::of(b"two")));
    world.ask(bob, Request::Refuse(EnvelopeId::of(b"three")));
    let nobody = Err(Reason::NotAccepted);
    assert_eq!(world.submit(alice, CAROL, b"to nobody"), nobody);
    assert_eq!(
        world.order(alice, Command::Fetch(CAROL)),
        failed(Reason::NotFound)
    );
    let after = world.relay.tally();
    assert_eq!((after.takeovers, after.delivered), (1, 6));
    assert_eq!((after.acknowledged, after.unopened), (2, 1));
    assert_eq!((after.stored_messages, after.stored_bytes), (0, 0));
    assert_eq!((after.connections, after.mailboxes), (2, 0));
    let refused = |reason: Reason| after.refused[reason as usize - 1];
    assert_eq!(refused(Reason::NotAccepted), 1);
    assert_eq!(refused(Reason::NotFound), 1);
    assert_eq!(after.failed_commits, 0);
}
