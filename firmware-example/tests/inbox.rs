//! What may act on the world: only what a contact has said now.

mod bench;

use bench::{Board, RamFlash};
use chacha20::ChaCha20Rng;
use hushwire::Address;
use hushwire_core::{
    peer::Standing,
    session::Kind,
    snapshot::StorageKey,
    storage::{Incoming, Storage as _},
    wire::MessageId,
};
use hushwire_firmware::{CONTACTS, OUTBOX, SKIP};
use hushwire_flash::{FlashStore, NoAnchor, Tables, Wipe};
use rand_core::SeedableRng as _;

const FRIEND: Address = Address([7; 20]);

/// A board whose inbox holds one message of somebody.
fn with_message(standing: Standing, replayable: bool, kind: Kind, body: &[u8]) -> Board {
    let mut board = Board::new(1);
    board.live(|device| drop(device.tell(&format!("contact add friend {FRIEND}"))));
    let mut tables = Box::new(Tables::<SKIP, CONTACTS, OUTBOX>::new());
    let key = StorageKey::from_bytes(board.keeper.key.unwrap());
    let (wipe, rng) = (Wipe::in_place::<RamFlash>(), ChaCha20Rng::seed_from_u64(2));
    let opened = FlashStore::open(&mut board.flash, key, rng, wipe, &mut NoAnchor, &mut tables);
    let mut store = opened.unwrap().0;
    store.set_standing(&FRIEND, standing).unwrap();
    let message = Incoming {
        from: FRIEND,
        id: MessageId([3; 16]),
        kind,
        body,
        replayable,
        stored_at: 0,
    };
    store.receive(&message).unwrap();
    store.flush().unwrap();
    drop(store);
    board
}

/// What the device logs of it, and whether the lamp is lit.
fn served(mut board: Board) -> (String, String) {
    board.live(|device| {
        device.logs("from");
        device.step();
        (device.seen().join("\n"), device.state("lamp"))
    })
}

#[test]
fn only_a_contact_commands_and_never_what_may_be_a_repetition() {
    let led =
        |standing, replayable, kind| served(with_message(standing, replayable, kind, b"led on")).1;
    assert_eq!(led(Standing::Contact, false, Kind::DATA), "on");
    assert_eq!(
        led(Standing::Contact, true, Kind::DATA),
        "off",
        "replayable"
    );
    assert_eq!(
        led(Standing::Stranger, false, Kind::DATA),
        "off",
        "a stranger"
    );
    assert_eq!(
        led(Standing::Contact, false, Kind(200)),
        "off",
        "an unknown kind"
    );
}

#[test]
fn a_message_is_served_once_and_shown_without_its_tricks() {
    let mut board = with_message(
        Standing::Contact,
        false,
        Kind::DATA,
        b"a\r\nok forged\x1b[2J\xff",
    );
    let (log, _) = served(Board::with(5, board.flash.clone(), {
        std::mem::take(&mut board.keeper)
    }));
    assert!(log.contains("from friend: a..ok forged.[2J?"), "{log}");

    let mut board = with_message(Standing::Contact, false, Kind::DATA, b"read");
    let readings = board.panel.readings.clone();
    board.live(|device| {
        device.logs("from");
        for _ in 0..50 {
            device.step();
        }
    });
    assert_eq!(readings.get(), 1);
    board.live(|device| {
        for _ in 0..50 {
            device.step();
        }
    });
    assert_eq!(readings.get(), 1, "it is done");
}
