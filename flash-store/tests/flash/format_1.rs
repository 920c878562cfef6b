//! Format 1, frozen: an image that an earlier build has written opens in this one, and in every later
//! one, which upgrades it where it stands.
//!
//! `HUSHWIRE_FREEZE=1` writes the image anew: only for a format of its own number.

use std::path::PathBuf;

use hushwire_core::{
    prekey::Prekeys,
    session::Kind,
    storage::{OutboxState, Storage as _},
};
use hushwire_flash::{Boot, FORMAT, MAX_SETTING};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common;
use crate::common::{
    flash::{Chip, MockFlash},
    mirror::position,
    node::{Counter, Flash, Inner, LINK, Node, PAGE, PREKEYS, storage_key},
    world::World,
};

const PAGES: usize = 6;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1.bin")
}

/// A device with a bit of everything.
fn life() -> World {
    let mut world = World::new(2, 77);
    let friend = world.nodes[1].address;
    world.nodes[0] = Node::on(Flash::new(PAGES), 1, false, world.now, Counter(None));
    world.nodes[0].add_contact(friend);
    let store = world.nodes[0].store.flash();
    store.set_setting(4, b"hush://relay").unwrap();
    for round in 0..4_u8 {
        world.send(0, 1, &[round; 20]).unwrap();
        world.send(1, 0, &[round; 80]).unwrap();
        for at in [0, 1, 0, 1, 0] {
            world.connect(at);
            world.pump(at, 64);
        }
        world.now += 1_000;
    }
    // A gap: a key is kept. Unread: one short, one long. Waiting: one short, one long.
    world.nodes[0].store.reading = false;
    for body in [&b"lost"[..], b"unread", &[7; 100]] {
        world.send(1, 0, body).unwrap();
    }
    world.connect(1);
    world.pump(1, 64);
    let own = world.nodes[0].address;
    world.relay.get_mut(&own).unwrap().messages.pop_front();
    world.pump(0, 64);
    world.disconnect(0);
    world.send(0, 1, b"waits").unwrap();
    world.send(0, 1, &[8; 90]).unwrap();
    world.nodes[0].store.flash().flush().unwrap();
    world
}

/// What the device holds, in a few words.
fn summary(store: &mut Inner) -> String {
    let mut seed = [0; 32];
    assert!(store.identity(&mut seed).unwrap());
    let (mut setting, mut own) = ([0; MAX_SETTING], [0; Prekeys::<PREKEYS>::MAX_ENCODED]);
    let setting_len = store.setting(4, &mut setting).unwrap().unwrap();
    let own_len = store.own(&mut own).unwrap().unwrap();
    let prekeys = Prekeys::<PREKEYS>::decode(&own[..own_len]).unwrap();
    let mut text = format!(
        "seed {:?} setting {:?} unspent {}\n",
        seed[0],
        std::str::from_utf8(&setting[..setting_len]).unwrap(),
        prekeys.unspent()
    );
    let peer = store.contacts().next().unwrap();
    let session = peer.session.as_ref().unwrap();
    text += &format!(
        "{:?} {} {:?} confirmed {} sends {:?} heard {} done {}\n",
        peer.standing,
        peer.link,
        peer.identity.is_some(),
        session.is_confirmed(),
        position(session),
        peer.heard_at,
        peer.done.iter().filter(|id| **id != 0).count(),
    );
    let entries: Vec<_> = store
        .outbox()
        .filter(|entry| entry.kind == Kind::DATA)
        .collect();
    let mut buffer = [0; 1024];
    for entry in entries {
        let len = store.body(&entry.to, entry.id, &mut buffer).unwrap();
        let accepted = entry.state == OutboxState::Accepted;
        text += &format!("out {} {accepted} {:?}\n", entry.id, &buffer[..len.min(8)]);
    }
    while let Some(message) = store.next_message(&mut buffer).unwrap() {
        text += &format!(
            "in {} {:?}\n",
            message.id,
            &message.body[..message.body.len().min(8)]
        );
        let id = message.id;
        store.done(&id).unwrap();
    }
    text + &format!("{:?}", store.relay_mark(LINK).unwrap())
}

fn open(image: Vec<u8>) -> Inner {
    let chip: Flash = Chip::with(MockFlash::of(image));
    let rng = ChaCha20Rng::seed_from_u64(3);
    let wipe = hushwire_flash::Wipe::in_place::<Flash>();
    let mut none = hushwire_flash::NoAnchor;
    let opened = Inner::open(
        chip,
        storage_key(1),
        rng,
        wipe,
        &mut none,
        common::node::ram(),
    );
    let (store, boot) = opened.unwrap();
    assert_eq!(boot, Boot::Ready);
    store
}

#[test]
fn an_image_of_format_1_opens() {
    let mut world = life();
    if std::env::var("HUSHWIRE_FREEZE").is_ok() {
        assert_eq!(FORMAT, 1, "another format has another file");
        std::fs::write(file(), world.nodes[0].chip.image()).unwrap();
    }
    let image = std::fs::read(file()).unwrap();
    assert_eq!(image.len(), PAGES * PAGE);
    let frozen = summary(&mut open(image.clone()));
    println!("{frozen}");
    let expected = include_str!("../fixtures/format-1.txt");
    if std::env::var("HUSHWIRE_FREEZE").is_ok() {
        std::fs::write(file().with_extension("txt"), &frozen).unwrap();
    } else {
        assert_eq!(frozen, expected);
    }

    // A device starts with it, too.
    world.nodes[0].chip.get().bytes.copy_from_slice(&image);
    world.nodes[0].store.reading = true;
    world.nodes[0].lose_power(0);
    assert_eq!(world.nodes[0].boots.last(), Some(&Boot::Ready));
}
