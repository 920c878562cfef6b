//! Messages expire by the time that the relay ran, and by no clock that can jump.

use std::time::Duration;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::request::Request;

use super::world::{ALICE, BOB, WIDE, World};

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

fn world_with_a_message() -> World {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    world.submit(alice, BOB, b"waits").unwrap();
    world.leave(alice);
    world
}

/// Lets time pass in steps of an hour, with a tick in each.
fn run(world: &mut World, hours: u64) {
    for _ in 0..hours {
        world.pass(3_600);
        world.relay.tick(world.now);
        world.settle();
    }
}

fn stored(world: &World) -> u64 {
    world.relay.tally().stored_messages
}

#[test]
fn after_21_days_both_sides_are_told() {
    let mut world = world_with_a_message();
    run(&mut world, 21 * 24 - 1);
    assert_eq!(stored(&world), 1);
    run(&mut world, 2);
    assert_eq!(stored(&world), 0);

    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    assert_eq!(world.notices(alice), [(NoticeKind::SentExpired, BOB, 1)]);
    assert_eq!(
        world.notices(bob),
        [(NoticeKind::ReceivedExpired, ALICE, 1)]
    );
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(world.deliveries(bob), [], "the row is gone, too");
}

/// All that is old goes in one tick, and nothing that is not; the oldest one's age is of what waits,
/// whatever the disk still has.
#[test]
fn only_what_is_old_expires() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.leave(bob);
    let alice = world.register(ALICE);
    for old in [b"1", b"2", b"3"] {
        world.submit(alice, BOB, old).unwrap();
    }
    run(&mut world, 10 * 24);
    world.submit(alice, BOB, b"young").unwrap();
    world.relay.tick(world.now);
    assert_eq!(world.relay.tally().oldest_message_s, 10 * DAY);

    run(&mut world, 11 * 24 - 1);
    assert_eq!(stored(&world), 4);
    world.pass(3_600);
    // The first one lets the clock go on, the second one goes by it.
    world.relay.tick(world.now);
    world.settle();
    world.relay.tick(world.now);
    assert_eq!(stored(&world), 1);
    assert_eq!(world.relay.tally().expired, 3);
    world.relay.tick(world.now);
    let oldest = world.relay.tally().oldest_message_s;
    assert_eq!(oldest, 11 * DAY, "behind three rows that are about to go");
    let bob = world.log_in(BOB, WIDE);
    let delivered = world.deliveries(bob);
    assert!(matches!(&delivered[..], [(_, envelope)] if envelope == b"young"));
    world.ask(bob, Request::Ack(EnvelopeId::of(b"young")));
    world.settle();
    world.relay.tick(world.now);
    assert_eq!(world.relay.tally().oldest_message_s, 0);
}

#[test]
fn r5_jumps_of_years_expire_nothing() {
    let mut world = world_with_a_message();
    for unix_s in [world.now.unix_s + 50 * YEAR, 0, u64::MAX, world.now.unix_s] {
        world.now.unix_s = unix_s;
        world.relay.tick(world.now);
        world.settle();
        assert_eq!(stored(&world), 1);
    }
}

#[test]
fn r5_a_restart_counts_a_stop_but_never_years() {
    let mut world = world_with_a_message();
    world.now.unix_s += 50 * YEAR;
    world.restart();
    world.relay.tick(world.now);
    world.settle();
    assert_eq!(
        stored(&world),
        1,
        "a day of the stop counts, not fifty years"
    );
    world.now.unix_s -= 60 * YEAR;
    world.restart();
    world.relay.tick(world.now);
    assert_eq!(stored(&world), 1);

    // Twenty real days later the day that was counted shows.
    run(&mut world, 20 * 24 + 1);
    assert_eq!(stored(&world), 0);
}

#[test]
fn a_relay_that_is_stopped_each_night_still_expires() {
    let mut world = world_with_a_message();
    for _ in 0..22 {
        run(&mut world, 12);
        world.pass(12 * 3_600);
        world.restart();
    }
    world.relay.tick(world.now);
    assert_eq!(stored(&world), 0);
}

#[test]
fn expiry_frees_the_window() {
    let limits = Limits {
        expiry: Duration::from_secs(DAY),
        window: 1,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.submit(alice, BOB, b"never answered").unwrap();
    assert_eq!(world.deliveries(bob).len(), 1);
    run(&mut world, 12);
    world.submit(alice, BOB, b"next").unwrap();
    assert_eq!(world.deliveries(bob), []);
    run(&mut world, 13);
    assert_eq!(world.deliveries(bob).len(), 1);
}

#[test]
fn the_clock_may_stand_or_go_back_without_a_panic() {
    let mut world = world_with_a_message();
    for (mono_us, unix_s) in [(0, 0), (0, u64::MAX), (5, 1), (1, 2)] {
        world.now = Now { mono_us, unix_s };
        world.relay.tick(world.now);
        let bob = world.log_in(BOB, WIDE);
        world.ask(
            bob,
            Request::Numbered(1, hushwire_relay::request::Command::Ping),
        );
        world.settle();
    }
}
