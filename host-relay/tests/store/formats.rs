//! Stores that earlier relays wrote are opened by this one.
//!
//! A fixture is the file's sectors that are not empty: length u64, then (number u32, 512 bytes) each.

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::invite::Invite;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{ContactsChange, MailboxMode};
use hushwire_relay::limits::{Limits, Registration};
use hushwire_relay::relay::ConnId;
use hushwire_relay::request::{Command, Reply, Request};
use hushwire_relay::store::{Key, Store, Table, Write};

use crate::contract::{messages, open};
use crate::faults::{script, state_after};
use crate::faulty_disk::FaultyDisk;
use crate::logic::world::{ALICE, BOB, CAROL, WIDE, World, prekeys};

const SECTOR: usize = 512;
const FORMAT_1: &[u8] = include_bytes!("fixtures/format-1.sectors");
const FORMAT_1_ALL: &[u8] = include_bytes!("fixtures/format-1-all.sectors");

fn unpack(fixture: &[u8]) -> Vec<u8> {
    let (len, sectors) = fixture.split_first_chunk().unwrap();
    let mut file = vec![0; u64::from_be_bytes(*len) as usize];
    for sector in sectors.chunks(4 + SECTOR) {
        let (number, bytes) = sector.split_first_chunk().unwrap();
        let at = u32::from_be_bytes(*number) as usize * SECTOR;
        file[at..at + SECTOR].copy_from_slice(bytes);
    }
    file
}

#[test]
fn a_store_of_format_1_is_opened_and_written() {
    let disk = FaultyDisk::holding(unpack(FORMAT_1));
    let store = open(&disk).unwrap();
    assert_eq!(store.epoch(), 0x0102_0304_0506_0708);
    assert_eq!(messages(&store), state_after(12));
    let bundle = store.get(&Key::Bundle(Address([1; 20]))).unwrap();
    assert_eq!(bundle.unwrap(), b"bundle");
    store.commit(&[Write::Delete(Key::Message(1))]).unwrap();
    // The table of who may come is younger than this store.
    assert_eq!(store.count(Table::Access).unwrap(), 0);
    let ban = Write::Put(Key::Access(0), b"ban".as_slice().into());
    store.commit(&[ban]).unwrap();
    assert_eq!(store.get(&Key::Access(0)).unwrap().unwrap(), b"ban");
}

/// What all of the relay's logic leaves in a store, in every table.
fn fill(world: &mut World) {
    let [alice, bob, _] = [ALICE, BOB, CAROL].map(|address| world.register(address));
    let mut done = |conn, command| assert_eq!(world.order(conn, command), Reply::Done);
    done(bob, Command::Mode(MailboxMode::ContactsOnly));
    done(bob, Command::Contacts(ContactsChange::Add, vec![ALICE]));
    done(bob, prekeys(3));
    done(alice, claim(ALICE, "alice"));
    assert_eq!(prekey(world, alice, BOB), Some(3));
    for letter in [b"acked".as_slice(), b"unopened"] {
        world.submit(alice, BOB, letter).unwrap();
    }
    world.ask(bob, Request::Ack(EnvelopeId::of(b"acked")));
    world.ask(bob, Request::Refuse(EnvelopeId::of(b"unopened")));
    world.settle();
    world.leave(bob);
    for letter in [b"first".as_slice(), b"second"] {
        world.submit(alice, BOB, letter).unwrap();
    }
    world.relay.ban(CAROL, 0).unwrap();
    world.relay.expect(EXPECTED).unwrap().unwrap();
    world.relay.make_invite(INVITATION, 2, 0).unwrap();
    world.settle();
}

const EXPECTED: Address = Address([0xee; 20]);
const INVITED: [Address; 3] = [Address([1; 20]), Address([2; 20]), Address([3; 20])];
const INVITATION: [u8; 16] = [0x31; 16];

fn claim(owner: Address, name: &str) -> Command {
    let name = name.into();
    Command::Claim { owner, name }
}

/// The id of the one-time prekey that comes with a bundle.
fn prekey(world: &mut World, conn: ConnId, of: Address) -> Option<u32> {
    match world.order(conn, Command::Fetch(of)) {
        Reply::Bundle { bundle, prekey, .. } => {
            assert_eq!(*bundle, of.0);
            prekey.map(|prekey| prekey.id)
        }
        reply => panic!("{reply:?}"),
    }
}

fn publish(world: &mut World, conn: ConnId, counter: u64) -> Reply {
    let bundle = [7].as_slice().into();
    world.order(conn, Command::Publish { counter, bundle })
}

fn failed(reason: Reason) -> Reply {
    Reply::Failed { reason, retry_s: 0 }
}

/// As any relay that was stopped is started again.
fn world_on(disk: FaultyDisk) -> World {
    let limits = Limits {
        ack_wait_ms: 0,
        registration: Registration::Invite,
        ..Limits::default()
    };
    World::on(Box::new(move || Box::new(open(&disk).unwrap())), limits)
}

#[test]
fn a_store_of_format_1_with_rows_in_every_table_goes_on() {
    let mut world = world_on(FaultyDisk::holding(unpack(FORMAT_1_ALL)));
    for table in Table::ALL {
        let rows = world.store.count(table).unwrap();
        assert!(rows > 0, "the fixture has nothing in {}", table.name());
    }
    // Notices, names, and the memory of what was acknowledged.
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(world.notices(alice), [(NoticeKind::Unopened, BOB, 1)]);
    let looked_up = world.order(alice, Command::LookUp("alice".into()));
    assert!(matches!(looked_up, Reply::Name { owner: ALICE, .. }));
    let taken = world.order(alice, claim(BOB, "alice"));
    assert_eq!(taken, Reply::Done, "it is hers to offer");
    world.submit(alice, BOB, b"acked").unwrap();

    // Mail and prekeys.
    let bob = world.log_in(BOB, WIDE);
    let mail = |world: &mut World| {
        world
            .deliveries(bob)
            .into_iter()
            .map(|(_, envelope)| envelope)
    };
    assert_eq!(
        mail(&mut world).collect::<Vec<_>>(),
        [b"first".to_vec(), b"second".to_vec()]
    );
    world.ask(bob, Request::Ack(EnvelopeId::of(b"first")));
    world.submit(alice, BOB, b"third").unwrap();
    assert_eq!(mail(&mut world).collect::<Vec<_>>(), [b"third"]);
    assert_eq!(prekey(&mut world, alice, BOB), Some(2));
    assert_eq!(publish(&mut world, bob, 0), failed(Reason::CounterWentBack));

    // Who may come.
    let carol = world.log_in(CAROL, WIDE);
    assert_eq!(
        world.notices(carol),
        [(NoticeKind::TurnedAway, Address::ZERO, Reason::Barred as u32)]
    );
    let expected = world.log_in(EXPECTED, WIDE);
    assert_eq!(publish(&mut world, expected, 1), Reply::Done);
    let number = world.relay.invites()[0].number as u32;
    let invite = [&number.to_be_bytes()[..], &INVITATION].concat();
    let invite = Invite(invite.try_into().unwrap());
    for (address, answer) in
        INVITED
            .into_iter()
            .zip([Reply::Done, Reply::Done, failed(Reason::Invitation)])
    {
        let conn = world.log_in(address, WIDE);
        assert_eq!(world.order(conn, Command::Invite(invite)), answer);
        if answer == Reply::Done {
            assert_eq!(publish(&mut world, conn, 1), Reply::Done);
            assert_eq!(
                world.submit(conn, BOB, b"hello"),
                Err(Reason::NotAccepted),
                "contacts only"
            );
        }
    }

    // What this relay wrote stands beside what the earlier one did.
    world.restart();
    let alice = world.log_in(ALICE, WIDE);
    assert_eq!(prekey(&mut world, alice, BOB), Some(1));
    assert_eq!(prekey(&mut world, alice, BOB), None);
    let bob = world.log_in(BOB, WIDE);
    let mail = world
        .deliveries(bob)
        .into_iter()
        .map(|(_, envelope)| envelope);
    assert_eq!(
        mail.collect::<Vec<_>>(),
        [b"second".to_vec(), b"third".to_vec()]
    );
}

fn write(name: &str, disk: &FaultyDisk) {
    let file = disk.contents();
    let mut fixture = (file.len() as u64).to_be_bytes().to_vec();
    for (number, sector) in (0u32..).zip(file.chunks(SECTOR)) {
        if sector.iter().any(|byte| *byte != 0) {
            fixture.extend(number.to_be_bytes());
            fixture.extend(sector);
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/fixtures");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/{name}.sectors"), fixture).unwrap();
}

/// Writes the fixtures of the present format: run once, before the format changes.
#[test]
#[ignore = "writes a fixture"]
fn write_the_fixture() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    for writes in script() {
        store.commit(&writes).unwrap();
    }
    let epoch = 0x0102_0304_0506_0708u64.to_be_bytes();
    let bundle = Write::Put(Key::Bundle(Address([1; 20])), b"bundle".as_slice().into());
    let epoch = Write::Put(Key::Meta("epoch"), epoch.as_slice().into());
    store.commit(&[epoch, bundle]).unwrap();
    drop(store);
    write("format-1", &disk);
}

#[test]
#[ignore = "writes a fixture"]
fn write_the_fixture_with_all() {
    let disk = FaultyDisk::default();
    let mut world = world_on(disk.clone());
    world.limits.registration = Registration::Open;
    world.restart();
    fill(&mut world);
    drop(world);
    write("format-1-all", &disk);
}
