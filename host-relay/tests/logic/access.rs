//! Who may use the relay: bans, invitations, closed registration.

use std::sync::atomic::Ordering;

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::invite::Invite;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::limits::{Limits, Registration};
use hushwire_relay::relay::ConnId;
use hushwire_relay::request::{Answer, Command, Reply};
use hushwire_relay::store::{Store, Table};

use super::world::{ALICE, BOB, CAROL, WIDE, World, submission};

fn world(registration: Registration) -> World {
    World::with(Limits {
        registration,
        ..Limits::default()
    })
}

fn failed(reason: Reason) -> Reply {
    Reply::Failed { reason, retry_s: 0 }
}

fn publish(world: &mut World, conn: ConnId, address: Address) -> Reply {
    let bundle = address.0.as_slice().into();
    world.order(conn, Command::Publish { counter: 1, bundle })
}

fn turned_away(reason: Reason) -> Answer {
    Answer::Notice {
        kind: NoticeKind::TurnedAway,
        peer: Address::ZERO,
        count: reason as u32,
    }
}

/// An invitation for so many, durable.
fn invite(world: &mut World, uses: u32, until: u64) -> Invite {
    let invite = world.relay.make_invite([0x31; 16], uses, until).unwrap();
    world.settle();
    invite
}

fn rows(world: &World) -> u64 {
    let all = Table::ALL.into_iter();
    all.map(|table| world.store.count(table).unwrap()).sum()
}

#[test]
fn a_banned_identity_loses_its_link_gets_no_mail_and_is_turned_away_until_unbanned() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.relay.ban(BOB, 0).unwrap();
    world.settle();
    assert_eq!(world.hear(bob), [turned_away(Reason::Barred)]);
    assert_eq!(world.closed, [bob]);

    assert_eq!(world.submit(alice, BOB, b"hi"), Err(Reason::NotAccepted));
    assert_eq!(
        world.order(alice, Command::Fetch(BOB)),
        failed(Reason::NotFound)
    );
    // The same after a crash; a stranger to the ban comes in.
    world.restart();
    let bob = world.log_in(BOB, WIDE);
    assert_eq!(
        world.hear(bob),
        [turned_away(Reason::Barred)],
        "and no welcome"
    );
    let alice = world.log_in(ALICE, WIDE);
    world.hear(alice);
    assert_eq!(world.submit(alice, BOB, b"hi"), Err(Reason::NotAccepted));
    assert_eq!(world.relay.bans(), [(BOB, 0)]);

    assert!(world.relay.unban(&BOB));
    assert!(!world.relay.unban(&BOB));
    world.settle();
    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.submit(alice, BOB, b"hi"), Ok(()));
    let bob = world.log_in(BOB, WIDE);
    assert!(matches!(world.hear(bob)[0], Answer::Welcome(_)));
}

#[test]
fn a_ban_for_a_time_ends_by_itself() {
    let mut world = World::new();
    world.register(BOB);
    world.relay.ban(BOB, world.now.unix_s + 60).unwrap();
    // A second one takes the place of the first.
    world.relay.ban(BOB, world.now.unix_s + 90).unwrap();
    world.settle();
    world.pass(89);
    world.relay.tick(world.now);
    assert_eq!(world.relay.bans().len(), 1);
    world.pass(1);
    world.relay.tick(world.now);
    world.settle();
    assert_eq!(world.relay.bans(), []);
    assert_eq!(world.store.count(Table::Access).unwrap(), 0);
}

#[test]
fn a_ban_that_the_disk_did_not_take_is_none() {
    let mut world = World::new();
    world.register(BOB);
    world.store.fails.store(true, Ordering::Relaxed);
    world.relay.ban(BOB, 0).unwrap();
    world.settle_one();
    assert_eq!(world.relay.bans(), []);
}

#[test]
fn a_closed_relay_takes_only_whom_it_knows_or_expects() {
    let mut world = world(Registration::Closed);
    let before = rows(&world);
    let stranger = world.log_in(CAROL, WIDE);
    world.settle();
    assert_eq!(world.hear(stranger), [turned_away(Reason::NotAccepted)]);
    assert_eq!(rows(&world), before);

    assert_eq!(world.relay.expect(ALICE).unwrap(), Ok(true));
    assert_eq!(world.relay.expect(ALICE).unwrap(), Ok(false), "no news");
    world.settle();
    world.restart();
    let alice = world.register(ALICE);
    assert_eq!(world.store.count(Table::Access).unwrap(), 0, "it is used");
    world.restart();
    let again = world.log_in(ALICE, WIDE);
    assert!(again != alice && matches!(world.hear(again)[0], Answer::Welcome(_)));
    // Who leaves is a stranger again.
    assert_eq!(world.order(again, Command::Leave), Reply::Done);
    let back = world.log_in(ALICE, WIDE);
    assert_eq!(world.hear(back), [turned_away(Reason::NotAccepted)]);
}

#[test]
fn an_invitation_for_two_registers_two() {
    let mut world = world(Registration::Invite);
    let invite = invite(&mut world, 2, 0);
    for address in [ALICE, BOB] {
        let conn = world.log_in(address, WIDE);
        assert_eq!(world.order(conn, Command::Invite(invite)), Reply::Done);
        assert_eq!(publish(&mut world, conn, address), Reply::Done);
        // It lasts over crashes: the account and the use are one commit.
        world.restart();
    }
    assert_eq!(world.relay.invites(), []);
    let carol = world.log_in(CAROL, WIDE);
    let answer = world.order(carol, Command::Invite(invite));
    assert_eq!(answer, failed(Reason::Invitation));
    // Those that are registered need it no more.
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.order(alice, Command::Invite(invite)), Reply::Done);
    assert_eq!(world.submit(alice, BOB, b"hi"), Ok(()));
}

#[test]
fn without_an_invitation_nothing_is_answered_and_nothing_is_stored() {
    let mut world = world(Registration::Invite);
    let invite = invite(&mut world, 1, 0);
    world.relay.expect(BOB).unwrap().unwrap();
    world.register(BOB);
    let before = rows(&world);

    let guest = world.log_in(ALICE, WIDE);
    assert!(matches!(world.hear(guest)[0], Answer::Welcome(_)));
    let wrong = Invite({
        let mut bytes = invite.0;
        bytes[19] ^= 1;
        bytes
    });
    let unknown = Invite([0xff; 20]);
    for command in [
        Command::Invite(wrong),
        Command::Invite(unknown),
        Command::Status,
        Command::Fetch(BOB),
        Command::LookUp("bob".into()),
        Command::Leave,
        Command::Prekeys([].as_slice().into()),
    ] {
        assert_eq!(world.order(guest, command), failed(Reason::Invitation));
    }
    assert_eq!(
        publish(&mut world, guest, ALICE),
        failed(Reason::Invitation)
    );
    assert_eq!(world.order(guest, Command::Ping), Reply::Pong);
    assert_eq!(world.submit(guest, BOB, b"hi"), Err(Reason::Invitation));

    // Having shown a good one is not yet being registered.
    assert_eq!(world.order(guest, Command::Invite(invite)), Reply::Done);
    assert!(matches!(
        world.order(guest, Command::Status),
        Reply::Status(_)
    ));
    assert_eq!(world.submit(guest, BOB, b"hi"), Err(Reason::Invitation));
    world.settle();
    assert_eq!(rows(&world), before);
    assert_eq!(publish(&mut world, guest, ALICE), Reply::Done);
    assert_eq!(world.submit(guest, BOB, b"hi"), Ok(()));
}

/// Two show the last use at once: one is registered, the other hears what a wrong one hears.
#[test]
fn the_last_use_goes_to_one() {
    let mut world = world(Registration::Invite);
    let invite = invite(&mut world, 1, 0);
    let (alice, bob) = (world.log_in(ALICE, WIDE), world.log_in(BOB, WIDE));
    for conn in [alice, bob] {
        assert_eq!(world.order(conn, Command::Invite(invite)), Reply::Done);
    }
    assert_eq!(publish(&mut world, bob, BOB), Reply::Done);
    assert_eq!(
        publish(&mut world, alice, ALICE),
        failed(Reason::Invitation)
    );
    assert_eq!(
        world.submit(alice, BOB, b"hi"),
        Err(Reason::Invitation),
        "she is a guest again"
    );
}

#[test]
fn expired_and_revoked_invitations_are_as_good_as_wrong_ones() {
    let mut world = world(Registration::Invite);
    let soon = world.now.unix_s + 10;
    let short = invite(&mut world, 5, soon);
    let taken_back = invite(&mut world, 5, 0);
    assert_eq!(world.relay.invites().len(), 2);
    assert!(world.relay.revoke(1));
    assert!(!world.relay.revoke(1));
    world.pass(10);
    let alice = world.log_in(ALICE, WIDE);
    for bad in [short, taken_back] {
        assert_eq!(
            world.order(alice, Command::Invite(bad)),
            failed(Reason::Invitation)
        );
    }
    world.relay.tick(world.now);
    world.settle();
    assert_eq!(world.store.count(Table::Access).unwrap(), 0);
}

/// A registration that the disk did not take costs no use, and gives no rights.
#[test]
fn a_registration_that_failed_leaves_the_invitation_good() {
    let mut world = world(Registration::Invite);
    let invite = invite(&mut world, 1, 0);
    world.relay.expect(BOB).unwrap().unwrap();
    world.register(BOB);
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.order(alice, Command::Invite(invite)), Reply::Done);
    world.store.fails.store(true, Ordering::Relaxed);
    assert!(matches!(
        publish(&mut world, alice, ALICE),
        Reply::Failed {
            reason: Reason::StoreTrouble,
            ..
        }
    ));
    world.store.fails.store(false, Ordering::Relaxed);
    assert_eq!(world.submit(alice, BOB, b"hi"), Err(Reason::Invitation));
    assert_eq!(publish(&mut world, alice, ALICE), Reply::Done);
    assert_eq!(world.relay.invites(), []);
}

/// The store has no invitation in it, only what recognises one.
#[test]
fn invitations_are_not_in_the_store() {
    let mut world = world(Registration::Invite);
    invite(&mut world, 1, 0);
    let mut all = Vec::new();
    world
        .store
        .walk(Table::Access, 0, &mut |_, row| {
            all.extend_from_slice(row);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert!(!all.is_empty());
    assert!(!all.windows(16).any(|window| window == [0x31; 16]));
}

#[test]
fn an_open_relay_asks_for_nothing() {
    let mut world = World::new();
    let alice = world.log_in(ALICE, WIDE);
    world.ask(alice, submission(BOB, b"hi"));
    assert_eq!(
        world.order(alice, Command::Invite(Invite([0; 20]))),
        Reply::Done
    );
    assert_eq!(publish(&mut world, alice, ALICE), Reply::Done);
}
