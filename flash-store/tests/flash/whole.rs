//! What the application sees of its store, on flash of every word size.

use hushwire_core::{
    endpoint::{Cx, EndpointError},
    identity::Address,
    peer::{Peer, Standing},
    storage::Storage as _,
};
use hushwire_flash::{
    Boot, FlashError, FlashStore, INBOX, MAX_SETTING, NoAnchor, SETTINGS, Tables, Wipe,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common;
use crate::common::{
    flash::{Chip, MockError, MockFlash, Torn},
    mirror::position,
    node::{CONTACTS, Flash, Inner, LINK, Node, OUTBOX, SKIP, WIPE, give_back, ram, storage_key},
    script::Life,
    world::World,
};

fn open(chip: &Flash) -> (Inner, Boot) {
    let rng = ChaCha20Rng::seed_from_u64(chip.get().operations());
    let wipe = Wipe::in_place::<Flash>();
    Inner::open(
        chip.clone(),
        storage_key(1),
        rng,
        wipe,
        &mut NoAnchor,
        ram(),
    )
    .unwrap()
}

#[test]
fn sizes() {
    let tables = Tables::<SKIP, CONTACTS, OUTBOX>::RAM;
    println!(
        "tables {tables} bytes, of them {CONTACTS} contacts of {} and one session beside; store {}",
        size_of::<Peer<SKIP>>(),
        size_of::<Inner>()
    );
    // The firmware has 32 KiB for everything.
    assert!(tables <= 16_800 && size_of::<Inner>() - size_of::<ChaCha20Rng>() <= 256);
}

/// Settings, identity and contacts on flash that writes words of `WRITE` bytes.
fn on_words<const WRITE: usize, const ERASE: usize>(wipe: Wipe, multiwrite: bool) {
    type Store<const WRITE: usize, const ERASE: usize> =
        FlashStore<'static, Chip<WRITE, ERASE>, ChaCha20Rng, SKIP, CONTACTS, OUTBOX>;
    let mut flash = MockFlash::<WRITE, ERASE>::new(if ERASE > 4096 { 6 } else { 8 });
    flash.multiwrite = multiwrite;
    let chip = Chip::with(flash);
    let start = |salt: u64| {
        let rng = ChaCha20Rng::seed_from_u64(salt);
        Store::open(
            chip.clone(),
            storage_key(1),
            rng,
            wipe,
            &mut NoAnchor,
            ram(),
        )
        .unwrap()
    };
    let (mut store, boot) = start(0);
    assert_eq!(boot, Boot::Fresh);
    store.set_identity(&[7; 32]).unwrap();
    for n in 0..4_u8 {
        assert!(store.add_contact(&Address([n; 20]), n).unwrap());
    }
    assert!(!store.add_contact(&Address([9; 20]), 0).unwrap(), "no room");
    for round in 0..120_u8 {
        store
            .set_setting(round % SETTINGS, &[round; MAX_SETTING])
            .unwrap();
        let who = Address([round % 4; 20]);
        store.set_standing(&who, Standing::Blocked).unwrap();
        // Each change of what a base holds is a new epoch.
        let conversation = store.conversation(&who).unwrap().unwrap();
        conversation.peer.heard_at = u64::from(round) << 40;
        store.save(&who).unwrap();
        store.commit().unwrap();
        if round % 30 == 29 {
            drop(store);
            let boot;
            (store, boot) = start(u64::from(round));
            assert_eq!(boot, Boot::Ready);
            let mut setting = [0; MAX_SETTING];
            assert_eq!(
                store.setting(round % SETTINGS, &mut setting),
                Ok(Some(MAX_SETTING))
            );
            assert_eq!(setting, [round; MAX_SETTING]);
            assert_eq!(store.contacts().count(), 4);
            let blocked = store
                .contacts()
                .all(|peer| peer.standing == Standing::Blocked);
            assert!(blocked);
            let heard = store
                .contacts()
                .find(|peer| peer.address == who)
                .unwrap()
                .heard_at;
            assert_eq!(heard, u64::from(round) << 40);
        }
    }
    let wear = store.wear();
    println!("words of {WRITE}, pages of {ERASE}: {wear:?}");
    assert!(chip.get().erases > 0);
}

#[test]
fn every_word_size() {
    on_words::<1, 4096>(Wipe::in_place::<Chip<1, 4096>>(), true);
    on_words::<2, 4096>(Wipe::in_place::<Chip<2, 4096>>(), true);
    on_words::<8, 8192>(Wipe::in_place::<Chip<8, 8192>>(), true);
    on_words::<4, 4096>(Wipe::by_erase(1), false);
    on_words::<16, 8192>(Wipe::by_erase(8), false);
}

#[test]
fn a_life_on_flash_that_is_written_once() {
    WIPE.set(Wipe::by_erase(16));
    for (operation, torn) in [
        (u64::MAX, Torn::Nothing),
        (90, Torn::First(9)),
        (161, Torn::Nothing),
        (213, Torn::First(3)),
        (334, Torn::All),
        (405, Torn::First(15)),
    ] {
        let mut flash = MockFlash::new(8);
        flash.multiwrite = false;
        flash.cut = Some((operation, torn));
        let mut life = Life::begin(Chip::with(flash));
        life.everything();
        assert_eq!(life.restarts(), 0);
    }
}

#[test]
fn bounds_are_told() {
    let chip = Flash::new(8);
    let (mut store, _) = open(&chip);
    let mut value = [0; MAX_SETTING];
    assert_eq!(store.setting(0, &mut value), Ok(None));
    assert_eq!(store.setting(SETTINGS, &mut value), Err(FlashError::Size));
    assert_eq!(
        store.set_setting(0, &[0; MAX_SETTING + 1]),
        Err(FlashError::Size)
    );
    store.set_setting(0, &[]).unwrap();
    assert_eq!(store.setting(0, &mut value), Ok(Some(0)));
}

#[test]
fn a_removed_contact_leaves_nothing_for_the_next() {
    let mut world = World::new(2, 21);
    for round in 0..6_u8 {
        world.send(0, 1, &[round; 9]).unwrap();
        world.send(1, 0, &[round; 200]).unwrap();
        for at in [0, 1, 0, 1] {
            world.connect(at);
            world.pump(at, 64);
        }
    }
    // A message that waits, one that is not read, and one that is owed a receipt.
    world.nodes[0].store.reading = false;
    world.send(1, 0, b"unread").unwrap();
    world.send(0, 1, b"waits").unwrap();
    for at in [1, 0] {
        world.pump(at, 64);
    }
    let gone = world.nodes[1].address;
    let store = world.nodes[0].store.flash();
    assert!(store.remove_contact(&gone).unwrap());
    assert!(!store.remove_contact(&gone).unwrap());
    let next = Address([0x77; 20]);
    assert!(store.add_contact(&next, LINK).unwrap());
    for _ in 0..2 {
        let store = world.nodes[0].store.flash();
        assert_eq!(store.contacts().count(), 1);
        let peer = store.contacts().next().unwrap();
        assert!(peer.address == next && peer.session.is_none() && peer.done == [0; 16]);
        assert_eq!(store.outbox().count(), 0);
        assert!(store.next_message(&mut [0; 1024]).unwrap().is_none());
        world.nodes[0].lose_power(0);
        assert_eq!(world.nodes[0].boots.last(), Some(&Boot::Ready));
    }
}

#[test]
fn a_reset_leaves_nothing_and_goes_on_after_a_power_cut() {
    let mut world = World::new(2, 22);
    world.send(0, 1, b"hello").unwrap();
    world.settle(1);
    let image = world.nodes[0].chip.image();
    for operation in 0.. {
        let mut flash = MockFlash::of(image.clone());
        let torn = [Torn::Nothing, Torn::First(5), Torn::Last(11), Torn::All];
        // Opened first: a start writes its generation.
        let chip = Chip::with(flash.clone());
        let (store, boot) = open(&chip);
        assert_eq!(boot, Boot::Ready);
        flash = chip.get().clone();
        drop(store);
        flash.cut = Some((operation, torn[operation as usize % 4]));
        let chip = Chip::with(flash);
        let rng = ChaCha20Rng::seed_from_u64(operation);
        let wipe = Wipe::in_place::<Flash>();
        let opened = Inner::open(
            chip.clone(),
            storage_key(1),
            rng,
            wipe,
            &mut NoAnchor,
            ram(),
        );
        let cut = match opened.map(|(store, _)| store.reset()) {
            Ok(Ok(_)) => false,
            Ok(Err(error)) | Err(error) => {
                assert_eq!(error, FlashError::Flash(MockError::PowerLost));
                true
            }
        };
        if !cut {
            assert!(chip.image().iter().all(|byte| *byte == 0xff));
            assert!(operation > 5, "the reset was cut {operation} times");
            break;
        }
        chip.get().power_on();
        let (store, boot) = open(&chip);
        // Before the reset is ordered the device is what it was; from then on it is nobody.
        assert!(matches!(boot, Boot::Ready | Boot::Fresh), "{boot:?}");
        if boot == Boot::Fresh {
            assert_eq!(store.contacts().count(), 0);
        }
        give_back(store);
    }
}

#[test]
fn an_orderly_stop_skips_no_message_keys() {
    let mut world = World::new(2, 23);
    world.send(0, 1, b"one").unwrap();
    world.settle(1);
    world.send(0, 1, b"two").unwrap();
    world.connect(0);
    world.pump(0, 64);
    let of = |world: &mut World| {
        let store = world.nodes[0].store.flash();
        let session = store.contacts().next().unwrap().session.as_ref().unwrap();
        position(session)
    };
    let before = of(&mut world);
    assert!(before.is_some());
    world.nodes[0].store.flash().rest().unwrap();
    world.nodes[0].lose_power(0);
    assert_eq!(of(&mut world), before);
    // Without one, what was reserved is skipped.
    world.send(0, 1, b"three").unwrap();
    world.connect(0);
    world.pump(0, 64);
    let before = of(&mut world).unwrap();
    world.nodes[0].lose_power(0);
    let after = of(&mut world).unwrap();
    assert!(after.0 == before.0 && after.1 > before.1);
    world.settle(2);
    assert_eq!(world.inbox(1), [&b"one"[..], b"two", b"three"]);
}

#[test]
fn a_full_inbox_refuses_frames_until_it_is_read() {
    let mut world = World::new(2, 24);
    world.send(1, 0, b"first").unwrap();
    world.settle(1);
    world.nodes[0].store.reading = false;
    for n in 0..INBOX as u8 + 2 {
        world.send(1, 0, &[n]).unwrap();
    }
    world.connect(1);
    world.pump(1, 64);
    world.connect(0);
    world.offer(0);
    let now = world.now;
    let mut refused = false;
    while let Some(mut frame) = world.nodes[0].inbound.pop_front() {
        let Node {
            device, store, rng, ..
        } = &mut world.nodes[0];
        match device.handle_frame(&mut Cx { store, rng, now }, LINK, &mut frame) {
            Ok(_) => store.commit().unwrap(),
            Err(EndpointError::Storage(FlashError::InboxFull)) => {
                assert_eq!(store.flash().inbox_room(), 0);
                refused = true;
                break;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(refused);
    // The endpoint is made again; what was not acked comes again.
    world.nodes[0].store.reading = true;
    world.nodes[0].lose_power(0);
    world.settle(2);
    assert_eq!(world.inbox(0).len(), INBOX + 3);
}

/// Two contacts start anew beside their sessions, while there is one place for such a session.
#[test]
fn the_place_beside_goes_to_another_after_an_hour() {
    let mut world = World::new(3, 25);
    for (from, to) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
        world.send(from, to, b"hello").unwrap();
        world.settle(1);
    }
    // Both lose their memory and start anew; the first one does not answer any more.
    for at in [1, 2] {
        let address = world.nodes[0].address;
        world.nodes[at] = Node::on(
            Flash::new(16),
            at as u8 + 1,
            false,
            world.now,
            common::node::Counter(None),
        );
        world.nodes[at].add_contact(address);
        world.send(at, 0, b"new phone").unwrap();
        for _ in 0..3 {
            world.connect(at);
            world.pump(at, 64);
        }
        world.disconnect(at);
    }
    world.connect(0);
    world.pump(0, 64);
    let beside = |world: &mut World, at: usize| {
        let who = world.nodes[at].address;
        let store = world.nodes[0].store.flash();
        store
            .conversation(&who)
            .unwrap()
            .unwrap()
            .tentative
            .is_some_and(|place| place.is_some())
    };
    assert!(beside(&mut world, 1), "the first has the place");
    assert!(!beside(&mut world, 2));
    world.now += 2 * 3_600_000;
    let now = world.now;
    world.nodes[0].store.flash().set_clock(now);
    assert!(!beside(&mut world, 2), "it is free now");
    world.settle(10);
    for at in [1, 2] {
        world.send(0, at, b"and it goes on").unwrap();
        world.send(at, 0, b"indeed").unwrap();
    }
    world.settle(10);
    for at in [1, 2] {
        let said = world.inbox(at);
        assert!(said.contains(&b"and it goes on".to_vec()));
    }
    let said = world.inbox(0);
    assert_eq!(said.iter().filter(|body| *body == b"indeed").count(), 2);
    assert_eq!(said.iter().filter(|body| *body == b"new phone").count(), 2);
}
