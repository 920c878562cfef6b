//! What a relay decides about a device: whether to register it, whether to serve it, and which key it
//! proves from now on. PROTOCOL 3.5, 3.7, 3.9

mod bench;
#[path = "../../host-client/tests/common/mod.rs"]
mod common;

use std::time::Duration;

use bench::{Board, RamFlash, RamKeeper, Running};
use common::{Person, Relay};
use hushwire::{RelayUrl, Who};
use hushwire_relay::limits::{Limits, Registration};
use tokio::runtime::Runtime;

/// Longer than any back-off after a failure, and shorter than the pause of who was turned away.
const SOON: Duration = Duration::from_secs(120);

fn relay(runtime: &Runtime, registration: Registration) -> Relay {
    runtime.block_on(Relay::with(Limits {
        registration,
        ..Limits::default()
    }))
}

fn invitation(runtime: &Runtime, relay: &Relay, uses: u32) -> String {
    let told = runtime.block_on(relay.operate(&format!("invite new {uses} 0")));
    let start = told.find("hushinvite1").expect(&told);
    told[start..start + 49].to_owned()
}

/// The URL with the key that the relay has now.
fn url_now(runtime: &Runtime, relay: &Relay) -> String {
    let status = runtime.block_on(relay.operate("status"));
    let at = status.find("\"key\":\"").expect(&status) + 7;
    format!("hush://{}/#{}", relay.place(), &status[at..at + 66])
}

/// Neither asks the relay again within moments, nor pretends to be online.
fn keeps_away(device: &mut Running<'_, '_>) {
    device.clock.skip(SOON);
    device.run(Duration::from_millis(300));
    assert!(!device.device.is_linked());
    assert_eq!(device.state("state"), "turned-away");
}

#[test]
fn an_invitation_is_asked_for_kept_over_a_loss_of_power_and_used_once() {
    let runtime = Runtime::new().unwrap();
    let mut relay = relay(&runtime, Registration::Invite);
    let mut board = Board::new(21);
    board.live(|device| {
        let early = device.say("invite hushinvite1qqqq");
        assert!(early.contains("mistyped"), "{early}");
        let early = device.say(&format!("invite {}", hushwire::Invite([1; 20])));
        assert!(early.contains("which relay"), "{early}");
        device.tell(&format!("relay {}", relay.url));
        device.logs("turned away by the relay: it takes new identities with an invitation only");
        let link = device.state("link");
        assert!(link.contains("with an invitation only"), "{link}");
        assert_eq!(device.state("invitation"), "none");
        keeps_away(device);

        // A wrong one changes nothing but the time of the next try.
        device.tell(&format!("invite {}", hushwire::Invite([1; 20])));
        device.until("the refusal", |life| life.state("state") == "turned-away");
        keeps_away(device);
        assert!(!device.seen().iter().any(|line| line.ends_with(" online")));
    });
    let good = invitation(&runtime, &relay, 1);
    runtime.block_on(relay.stop());
    board.live(|device| {
        device.tell(&format!("invite {good}"));
        device.logs("cannot be reached");
    });
    // The power was cut, and the relay comes back after it.
    runtime.block_on(relay.resume());
    board.live(|device| {
        assert_eq!(device.state("invitation"), "kept until registered");
        device.logs("online");
        assert_eq!(device.state("state"), "online");
        assert_eq!(device.state("invitation"), "none");
        let late = device.say(&format!("invite {good}"));
        assert!(late.contains("needs none"), "{late}");
    });
    board.live(|device| {
        assert_eq!(device.state("invitation"), "none");
        device.logs("online");
    });

    // It was for one. Behind the URL it works as well.
    let mut second = Board::new(22);
    let another = invitation(&runtime, &relay, 1);
    second.live(|device| {
        device.tell(&format!("relay {}/{good}", relay.url));
        device.logs("used up");
        device.tell(&format!("relay {}/{another}", relay.url));
        device.logs("online");
    });
}

#[test]
fn an_invitation_is_shown_to_its_own_relay_only() {
    let mut board = Board::new(23);
    let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let invite = hushwire::Invite([7; 20]);
    board.live(|device| {
        device.tell(&format!("relay hush://127.0.0.1:1/#02{x}/{invite}"));
        assert_eq!(device.state("invitation"), "kept until registered");
        device.tell(&format!("relay hush://127.0.0.1:2/#02{x}"));
        assert_eq!(device.state("invitation"), "kept until registered");
        device.tell(&format!("relay hush://127.0.0.1:1/#03{x}"));
        assert_eq!(device.state("invitation"), "none");
    });
    board.live(|device| assert_eq!(device.state("invitation"), "none"));
}

#[test]
fn who_is_turned_away_says_why_and_comes_back_after_minutes() {
    let runtime = Runtime::new().unwrap();
    let relay = relay(&runtime, Registration::Closed);
    let mut board = Board::new(24);
    board.live(|device| {
        device.tell(&format!("relay {}", relay.url));
        device.logs("turned away by the relay: it takes no further identity");
        assert!(device.state("link").contains("no further identity"));
        keeps_away(device);
        let address = device.tell("address");
        runtime.block_on(relay.operate(&format!("mailbox add {address}")));
        device.clock.skip(Duration::from_secs(300));
        device.until("online", |life| life.state("state") == "online");

        // While it is connected, and when it comes.
        runtime.block_on(relay.operate(&format!("mailbox ban {address} 0")));
        device.logs("the relay's operator has barred this identity");
        keeps_away(device);
        device.tell(&format!("relay {}", relay.url));
        device.until("the refusal", |life| life.state("state") == "turned-away");
        assert!(device.state("link").contains("has barred this identity"));
        keeps_away(device);
        runtime.block_on(relay.operate(&format!("mailbox unban {address}")));
        device.clock.skip(Duration::from_secs(300));
        device.until("online", |life| life.state("state") == "online");
    });
}

#[test]
fn a_new_key_of_the_relay_is_pinned_told_and_used_from_then_on() {
    let runtime = Runtime::new().unwrap();
    let (mut relay, alice) = runtime.block_on(async {
        let relay = Relay::start().await;
        let alice = Person::at(&relay).await;
        (relay, alice)
    });
    let old = relay.url.to_string();
    let mut board = Board::new(25);
    let address = board.live(|device| {
        device.tell(&format!("relay {old}"));
        device.logs("online");
        device.tell("address")
    });
    runtime.block_on(relay.rotate_key());
    let new = url_now(&runtime, &relay);
    assert_ne!(new, old);
    board.live(|device| {
        device.logs(&format!(
            "the relay has a new key, which is pinned now: {new}"
        ));
        assert_eq!(device.state("relay"), new);
        assert_eq!(device.tell("card"), format!("{new}/{address}"));
        assert_eq!(device.state("state"), "online", "the link goes on");
        // A card from before is one of this relay.
        device.tell(&format!(
            "contact add alice {old}/{}",
            alice.client.address()
        ));
    });
    runtime.block_on(relay.retire_keys());
    board.live(|device| {
        assert_eq!(device.state("relay"), new);
        device.logs("online");
        runtime.block_on(async {
            alice
                .client
                .move_relay(new.parse::<RelayUrl>().unwrap(), None)
                .await
                .unwrap();
            let who = Who::Address(address.parse().unwrap());
            alice.client.add_contact("device", who).await.unwrap();
            alice.send("device", "echo the same mailbox").await;
        });
        device.until("the answer", |_| {
            let received = runtime.block_on(alice.received());
            received.iter().any(|text| text == "the same mailbox")
        });
    });
    // Whoever was away for the whole overlap is told, and knocks as at any wrong server.
    runtime.block_on(relay.rotate_key());
    runtime.block_on(relay.retire_keys());
    board.live(|device| device.logs("does not prove to hold the relay's key"));
}

/// The power goes at any write around the moment in which the key is pinned: the flash has the old one
/// or the new one, and never the old one after the new one was told.
#[test]
fn a_key_that_was_told_is_in_flash_whenever_the_power_goes() {
    let runtime = Runtime::new().unwrap();
    let mut relay = runtime.block_on(Relay::start());
    let old = relay.url.to_string();
    let mut board = Board::new(26);
    board.live(|device| {
        device.tell(&format!("relay {old}"));
        device.logs("online");
    });
    runtime.block_on(relay.rotate_key());
    let new = url_now(&runtime, &relay);
    let (image, key) = (board.flash.cells.clone(), board.keeper.key);
    let (mut pinned, mut told) = ([0, 0], 0);
    for writes in 0.. {
        let mut flash = RamFlash::new();
        flash.cells.clone_from(&image);
        let (written, cut) = (flash.writes.clone(), flash.cut.clone());
        let keeper = RamKeeper {
            key,
            ..RamKeeper::default()
        };
        let mut board = Board::with(100 + writes, flash, keeper);
        let (went, said) = board.live(|device| {
            cut.set(Some(written.get() + writes));
            let said = |life: &Running<'_, '_>| {
                life.seen()
                    .iter()
                    .any(|line| line.contains("has a new key"))
            };
            device.until("the end", |life| life.device.end().is_some() || said(life));
            (device.device.end().is_some(), said(device))
        });
        cut.set(None);
        let relay = board.live(|device| device.state("relay"));
        assert!(relay == old || relay == new, "{relay}");
        assert!(!said || relay == new, "told before it was pinned");
        pinned[usize::from(relay == new)] += 1;
        told += usize::from(said);
        if !went {
            break;
        }
    }
    println!("{pinned:?} lives have the old key and the new one, {told} told it");
    assert!(pinned[0] > 1 && pinned[1] > 0 && told == 1);
}
