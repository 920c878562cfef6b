//! Bundles, one-time prekeys, nicknames, leaving.

use std::collections::HashSet;

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::{NoticeKind, Status};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::MailboxMode;
use hushwire_relay::limits::Limits;
use hushwire_relay::request::{Answer, Command, Reply, Request};
use hushwire_relay::store::Store as _;

use super::world::{ALICE, BOB, CAROL, WIDE, World, prekeys};

fn failed(reason: Reason) -> Reply {
    Reply::Failed { reason, retry_s: 0 }
}

fn prekey_id(reply: &Reply) -> Option<u32> {
    let Reply::Bundle { prekey, .. } = reply else {
        panic!("{reply:?}")
    };
    prekey.map(|prekey| prekey.id)
}

/// One more is asked for while the row of the one before is on its way to the disk, and one more when that
/// row is there and the next is not.
#[test]
fn a_one_time_prekey_is_handed_out_once_while_the_disk_is_behind() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.order(bob, prekeys(10));
    let stranger = world.log_in(CAROL, WIDE);
    let fetch = |world: &mut World, number| {
        world.ask(stranger, Request::Numbered(number, Command::Fetch(BOB)));
    };
    fetch(&mut world, 1);
    let first = world.relay.poll_commit().unwrap();
    fetch(&mut world, 2);
    world.store.commit(&first).unwrap();
    world.relay.settle(true);
    let second = world.relay.poll_commit().unwrap();
    fetch(&mut world, 3);
    world.store.commit(&second).unwrap();
    world.relay.settle(true);
    world.settle();
    let mut seen: Vec<_> = world
        .hear(stranger)
        .iter()
        .filter_map(|answer| match answer {
            Answer::Numbered(_, reply) => prekey_id(reply),
            _ => None,
        })
        .collect();
    assert_eq!(seen.len(), 3);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3, "one was handed out twice");
}

#[test]
fn a_one_time_prekey_is_handed_out_once() {
    let mut world = World::new();
    let bob = world.register(BOB);
    world.order(bob, prekeys(100));
    let mut seen = HashSet::new();
    for n in 0..110u8 {
        let stranger = world.log_in(Address([n; 20]), WIDE);
        if let Some(id) = prekey_id(&world.order(stranger, Command::Fetch(BOB))) {
            assert!(seen.insert(id), "prekey {id} was handed out twice");
        }
        if n % 10 == 0 {
            world.restart();
        }
    }
    assert_eq!(seen.len(), 100, "all of them, then bundles without");
}

#[test]
fn the_owner_learns_what_is_left() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.order(bob, prekeys(2));
    world.order(alice, Command::Fetch(BOB));
    assert_eq!(
        world.notices(bob),
        [(NoticeKind::PrekeysLeft, Address::ZERO, 1)]
    );
    let Reply::Status(status) = world.order(bob, Command::Status) else {
        panic!()
    };
    assert_eq!(status.prekeys, 1);
}

#[test]
fn one_requester_cannot_drain_a_target() {
    let limits = Limits {
        prekey_burst: 2,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.order(bob, prekeys(10));
    let fetch = |world: &mut World| prekey_id(&world.order(alice, Command::Fetch(BOB)));
    assert!(fetch(&mut world).is_some());
    assert!(fetch(&mut world).is_some());
    assert_eq!(fetch(&mut world), None, "a bundle, but no prekey");
    let carol = world.register(CAROL);
    assert!(prekey_id(&world.order(carol, Command::Fetch(BOB))).is_some());
    world.pass(3_600);
    assert!(fetch(&mut world).is_some());
}

#[test]
fn an_upload_replaces_the_whole_set() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.order(bob, prekeys(50));
    let one = [9_000u32.to_be_bytes().as_slice(), &[3; 33]].concat();
    world.order(bob, Command::Prekeys(one.into()));
    assert_eq!(
        prekey_id(&world.order(alice, Command::Fetch(BOB))),
        Some(9_000)
    );
    assert_eq!(prekey_id(&world.order(alice, Command::Fetch(BOB))), None);
    assert_eq!(world.order(bob, prekeys(129)), failed(Reason::TooLarge));
}

#[test]
fn a_bundle_never_goes_back() {
    let mut world = World::new();
    let bob = world.register(BOB);
    let mut publish = |counter, bundle: &[u8]| {
        world.order(
            bob,
            Command::Publish {
                counter,
                bundle: bundle.into(),
            },
        )
    };
    assert_eq!(publish(5, b"five"), Reply::Done);
    assert_eq!(
        publish(5, b"five"),
        Reply::Done,
        "the same again is no harm"
    );
    assert_eq!(publish(5, b"another five"), failed(Reason::CounterWentBack));
    assert_eq!(publish(4, b"four"), failed(Reason::CounterWentBack));
    assert_eq!(publish(6, &[0; 4_097]), failed(Reason::TooLarge));
    let not_yours = Command::BadBundle {
        reason: Reason::NotYours,
        retry_s: 0,
    };
    assert_eq!(world.order(bob, not_yours), failed(Reason::NotYours));

    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    let Reply::Bundle { bundle, .. } = world.order(alice, Command::Fetch(BOB)) else {
        panic!()
    };
    assert_eq!(&*bundle, b"five");
}

#[test]
fn unknown_and_forbidden_bundles_get_the_same_answer() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.order(bob, Command::Mode(MailboxMode::ContactsOnly));
    let unknown = world.order(alice, Command::Fetch(CAROL));
    assert_eq!(world.order(alice, Command::Fetch(BOB)), unknown);
    assert_eq!(unknown, failed(Reason::NotFound));
    assert_eq!(
        prekey_id(&world.order(bob, Command::Fetch(BOB))),
        None,
        "the owner may look"
    );
}

#[test]
fn registration_is_bounded_and_comes_before_the_rest() {
    let mut world = World::with(Limits {
        accounts: 1,
        ..Limits::default()
    });
    world.register(BOB);
    let alice = world.log_in(ALICE, WIDE);
    for command in [Command::Mode(MailboxMode::Open), prekeys(1), Command::Leave] {
        assert_eq!(world.order(alice, command), failed(Reason::NotFound));
    }
    let publish = Command::Publish {
        counter: 1,
        bundle: [1].as_slice().into(),
    };
    assert_eq!(world.order(alice, publish), failed(Reason::NotAccepted));
}

fn claim(owner: Address, name: &str) -> Command {
    Command::Claim {
        owner,
        name: name.into(),
    }
}

fn owner(world: &mut World, name: &str) -> Option<Address> {
    let asker = world.log_in(Address([0xee; 20]), WIDE);
    match world.order(asker, Command::LookUp(name.into())) {
        Reply::Name { owner, name: said } => {
            assert_eq!(&*said, name);
            Some(owner)
        }
        reply => {
            assert_eq!(reply, failed(Reason::NotFound));
            None
        }
    }
}

#[test]
fn a9_a_nickname_is_its_owners_to_give() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(owner(&mut world, "al"), None);
    assert_eq!(
        world.order(alice, claim(BOB, "alice")),
        failed(Reason::NotYours)
    );
    assert_eq!(world.order(alice, claim(ALICE, "alice")), Reply::Done);
    assert_eq!(
        world.order(alice, claim(ALICE, "alice")),
        Reply::Done,
        "once more is no harm"
    );
    assert_eq!(
        world.order(bob, claim(BOB, "alice")),
        failed(Reason::NameTaken)
    );
    assert_eq!(
        world.order(bob, claim(Address::ZERO, "alice")),
        failed(Reason::NameTaken)
    );
    assert_eq!(owner(&mut world, "alice"), Some(ALICE));

    for nobody in [CAROL, BOB] {
        let offered = world.order(alice, claim(nobody, "alice"));
        assert_eq!(offered, Reply::Done, "whoever is there");
    }
    assert_eq!(owner(&mut world, "alice"), Some(ALICE), "until it is taken");
    let carol = world.register(CAROL);
    assert_eq!(
        world.order(carol, claim(CAROL, "alice")),
        failed(Reason::NameTaken),
        "it is offered to somebody else by now"
    );
    assert_eq!(
        world.order(bob, claim(Address::ZERO, "alice")),
        failed(Reason::NameTaken),
        "an offer is no name"
    );
    assert_eq!(world.order(bob, claim(BOB, "alice")), Reply::Done, "taken");
    assert_eq!(
        world.order(alice, claim(ALICE, "alice")),
        failed(Reason::NameTaken)
    );
    assert_eq!(owner(&mut world, "alice"), Some(BOB));
    assert_eq!(
        world.order(bob, claim(Address::ZERO, "alice")),
        Reply::Done,
        "released"
    );
    assert_eq!(owner(&mut world, "alice"), None);
    assert_eq!(world.order(alice, claim(ALICE, "alice")), Reply::Done);
}

#[test]
fn a9_an_offer_is_for_its_time_and_can_be_withdrawn() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(world.order(alice, claim(ALICE, "alice")), Reply::Done);
    let taken = failed(Reason::NameTaken);

    assert_eq!(world.order(alice, claim(BOB, "alice")), Reply::Done);
    assert_eq!(world.order(alice, claim(ALICE, "alice")), Reply::Done);
    assert_eq!(world.order(bob, claim(BOB, "alice")), taken, "withdrawn");

    assert_eq!(world.order(alice, claim(BOB, "alice")), Reply::Done);
    world.pass(24 * 3600);
    assert_eq!(world.order(bob, claim(BOB, "alice")), taken, "over");

    // It goes with who made it, who may come again.
    assert_eq!(world.order(alice, claim(BOB, "alice")), Reply::Done);
    assert_eq!(world.order(alice, Command::Leave), Reply::Done);
    let alice = world.register(ALICE);
    assert_eq!(world.order(alice, claim(ALICE, "alice")), Reply::Done);
    assert_eq!(world.order(bob, claim(BOB, "alice")), taken, "gone");

    // The name was let go and claimed by another one: the offer was Alice's.
    assert_eq!(world.order(alice, claim(BOB, "alice")), Reply::Done);
    assert_eq!(world.order(alice, Command::Leave), Reply::Done);
    let carol = world.register(CAROL);
    assert_eq!(world.order(carol, claim(CAROL, "alice")), Reply::Done);
    assert_eq!(world.order(bob, claim(BOB, "alice")), taken, "not Carol's");
}

/// Names that nobody asked for would be all that one may hold.
#[test]
fn a9_nobody_is_given_names_unasked() {
    let mut world = World::new();
    let (mallory, bob) = (world.register(CAROL), world.register(BOB));
    for name in ["junk0", "junk1", "junk2", "junk3"] {
        assert_eq!(world.order(mallory, claim(CAROL, name)), Reply::Done);
        assert_eq!(world.order(mallory, claim(BOB, name)), Reply::Done);
    }
    assert_eq!(world.order(bob, claim(BOB, "bob")), Reply::Done);
}

#[test]
fn nicknames_are_few() {
    let mut world = World::with(Limits {
        names: 1,
        ..Limits::default()
    });
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    assert_eq!(world.order(alice, claim(ALICE, "one")), Reply::Done);
    assert_eq!(
        world.order(alice, claim(ALICE, "two")),
        failed(Reason::TooLarge)
    );
    assert_eq!(world.order(bob, claim(BOB, "three")), Reply::Done);
    assert_eq!(world.order(bob, claim(ALICE, "three")), Reply::Done);
    assert_eq!(
        world.order(alice, claim(ALICE, "three")),
        failed(Reason::TooLarge)
    );
    assert_eq!(owner(&mut world, "three"), Some(BOB));
}

#[test]
fn who_leaves_is_unknown() {
    let mut world = World::new();
    let (alice, bob) = (world.register(ALICE), world.register(BOB));
    world.order(bob, claim(BOB, "bob"));
    world.order(bob, prekeys(3));
    world.submit(alice, BOB, b"unread").unwrap();
    assert_eq!(world.order(bob, Command::Leave), Reply::Done);

    assert_eq!(world.submit(alice, BOB, b"more"), Err(Reason::NotAccepted));
    assert_eq!(
        world.order(alice, Command::Fetch(BOB)),
        failed(Reason::NotFound)
    );
    assert_eq!(owner(&mut world, "bob"), None);
    let Reply::Status(status) = world.order(bob, Command::Status) else {
        panic!()
    };
    assert_eq!(
        status,
        Status {
            messages: 0,
            bytes: 0,
            prekeys: 0,
            bundle_counter: 0,
            ..status
        }
    );

    world.restart();
    assert_eq!(world.relay.tally().stored_messages, 0);
    assert_eq!(world.relay.tally().accounts, 1);
    let bob = world.register(BOB);
    assert_eq!(
        world.deliveries(bob),
        [],
        "a new start has nothing of the old"
    );
}
