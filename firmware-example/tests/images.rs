//! Whatever stands in the flash, there is a device afterwards that says what it is.

mod bench;

use std::time::Duration;

use bench::{Board, RamFlash, RamKeeper};
use chacha20::ChaCha20Rng;
use hushwire_firmware::{
    device::{End, Fault},
    lamp::Mood,
};
use rand_core::{Rng as _, SeedableRng as _};

const RELAY: &str =
    "relay hush://127.0.0.1:9/#036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

/// A board with keys, a relay and two contacts.
fn lived(seed: u64) -> (Board, String) {
    let mut board = Board::new(seed);
    let address = board.live(|device| {
        assert_eq!(device.state("image"), "new");
        device.tell(RELAY);
        for n in 1..3_u8 {
            let somebody = hushwire::Address([n; 20]);
            device.tell(&format!("contact add friend{n} {somebody}"));
            device.tell(&format!("send friend{n} hello"));
        }
        device.tell("telemetry 60");
        device.tell("strangers on");
        device.tell("net static 192.168.1.7/24 192.168.1.1");
        device.tell("address")
    });
    (board, address)
}

#[test]
fn everything_set_survives_and_starts_are_counted() {
    let (mut board, address) = lived(1);
    for start in 2..5 {
        board.live(|device| {
            assert_eq!(device.state("image"), "ready");
            assert_eq!(device.tell("address"), address);
            assert!(RELAY.contains(&device.state("relay")));
            assert_eq!(device.state("contacts"), "2 of 4");
            assert_eq!(device.state("strangers"), "on");
            assert_eq!(device.state("telemetry"), "60");
            assert_eq!(device.state("boots"), start.to_string());
            assert!(device.device.network().is_some());
            let mut line = hushwire_firmware::text::Line::new();
            use hushwire_firmware::console::Desk as _;
            assert!(device.device.contact(0, &mut line) && line.starts_with("friend1 hush1"));
        });
    }
}

#[test]
fn another_boards_flash_is_told_and_reset_helps() {
    let (board, address) = lived(2);
    let foreign = board.flash.clone();
    let key = RamKeeper {
        key: Some([9; 32]),
        ..RamKeeper::default()
    };
    // Under another key, and where the key is lost: nothing is made over what stands there.
    for keeper in [key, RamKeeper::default()] {
        let kept = keeper.key;
        let mut board = Board::with(3, foreign.clone(), keeper);
        board.live(|device| {
            assert!(matches!(device.device.fault(), Some(Fault::Pairing(_))));
            assert_eq!(device.state("state"), "needs-pairing");
            assert_eq!(device.device.mood(), Mood::Unprovisioned);
            assert_eq!(device.device.network(), None, "nothing is sent");
            for command in [
                "address",
                "send a b",
                "relay x",
                "contact list",
                "strangers on",
            ] {
                let reply = device.say(command);
                assert!(
                    reply.starts_with("error") || command == "contact list",
                    "{command}: {reply}"
                );
            }
            assert!(device.say("reset").contains("CONFIRM"));
            assert_eq!(device.device.end(), None);
            device.tell("reset CONFIRM");
            assert_eq!(device.device.end(), Some(End::Reset));
        });
        assert_eq!(
            board.keeper.key, kept,
            "the keeper may only have failed to read"
        );
        board.live_and_end(End::Reset);
        board.live(|device| {
            assert_eq!(device.state("image"), "new");
            assert_ne!(device.tell("address"), address);
        });
    }
}

#[test]
fn an_older_image_is_told_where_the_board_can_tell() {
    let mut board = Board::new(4);
    board.keeper.anchor = Some(0);
    let address = board.live(|device| {
        let friend = hushwire::Address([1; 20]);
        device.tell(&format!("contact add friend {friend}"));
        device.tell("address")
    });
    let older = board.flash.clone();
    board.live(|device| assert_eq!(device.state("image"), "ready"));
    board.live(|device| assert_eq!(device.state("image"), "ready"));
    board.flash = older;
    board.live(|device| {
        assert_eq!(device.state("image"), "older");
        assert_eq!(device.tell("address"), address);
        assert_eq!(device.state("contacts"), "1 of 4");
    });
    board.live(|device| assert_eq!(device.state("image"), "ready"));
}

#[test]
fn no_image_makes_it_panic_or_lose_its_console() {
    let (board, _) = lived(5);
    let (good, key) = (board.flash.cells.clone(), board.keeper.key);
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut states = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..150 {
        let mut flash = RamFlash::new();
        match round % 3 {
            // Noise in the whole region, or in a part of it; a few bits; pages in another order.
            0 => {
                let from = rng.next_u32() as usize % flash.cells.len();
                flash.cells = good.clone();
                rng.fill_bytes(&mut flash.cells[from / (1 + round)..]);
            }
            1 => {
                flash.cells = good.clone();
                for _ in 0..1 + round {
                    let at = rng.next_u32() as usize % 20_000;
                    flash.cells[at] ^= 1 << (round % 8);
                }
            }
            _ => {
                for page in flash.cells.chunks_mut(4096) {
                    let from = rng.next_u32() as usize % 16 * 4096;
                    page.copy_from_slice(&good[from..from + 4096]);
                }
            }
        }
        let keeper = RamKeeper {
            key,
            ..RamKeeper::default()
        };
        let mut board = Board::with(round as u64, flash, keeper);
        board.live(|device| {
            device.run(Duration::from_millis(3));
            let (state, image) = (device.state("state"), device.state("image"));
            *states.entry(format!("{state}, {image}")).or_default() += 1;
            device.tell("reset CONFIRM");
        });
        board.live_and_end(End::Reset);
        board.live(|device| assert_eq!(device.state("image"), "new", "round {round}: {states:?}"));
    }
    println!("{states:?}");
    assert!(states.len() >= 3, "{states:?}");
}

#[test]
fn a_flash_that_fails_is_told_and_one_that_recovers_is_used() {
    let (mut board, address) = lived(7);
    let fails = board.flash.fails.clone();
    board.live(|device| {
        fails.set(true);
        assert!(device.say("send friend1 lost").starts_with("error"));
        assert_eq!(device.device.end(), Some(End::Reload));
    });
    board.live(|device| {
        assert_eq!(device.device.fault(), Some(Fault::Flash));
        assert_eq!(device.state("state"), "fault");
        assert!(device.say("send friend1 lost").starts_with("error"));
        fails.set(false);
    });
    board.live(|device| {
        assert_eq!(device.tell("address"), address);
        device.tell("send friend1 kept");
    });
}

#[test]
fn a_keeper_that_keeps_nothing_gives_no_device() {
    let keeper = RamKeeper {
        fails: true,
        ..RamKeeper::default()
    };
    let mut board = Board::with(8, RamFlash::new(), keeper);
    board.live(|device| assert_eq!(device.device.fault(), Some(Fault::Keeper)));
    assert!(
        board.flash.cells.iter().all(|byte| *byte == 0xff),
        "nothing was sealed"
    );
}
