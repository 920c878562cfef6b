//! Relays that do not take everybody, as the `hushwire` program meets them.

mod common;
mod program;

use common::Relay;
use hushwire_relay::limits::{Limits, Registration};
use program::{Program, is_alarm, text};

const REFUSED: i32 = 10;

async fn relay(registration: Registration) -> Relay {
    Relay::with(Limits {
        registration,
        ..Limits::default()
    })
    .await
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_lets_in_and_a_used_one_is_told_from_none() {
    let relay = relay(Registration::Invite).await;
    let url = relay.url.to_string();
    let uninvited = Program::unmade();
    let (code, sentence) = uninvited.fail(&["init", "--relay", &url]);
    assert_eq!(code, REFUSED, "{sentence}");
    assert!(sentence.contains("the vault is made"), "{sentence}");
    assert!(sentence.contains("by invitation only"), "{sentence}");
    assert!(sentence.contains("register --invite"), "{sentence}");

    // As a flag, and behind the URL.
    let invite = text(&json(&relay.operate("invite new 2 0").await), "invite");
    let alice = Program::unmade();
    let made = alice.json(&["init", "--relay", &url, "--invite", &invite]);
    let bob = Program::unmade();
    bob.json(&["init", "--relay", &format!("{url}/{invite}")]);
    bob.json(&["contacts", "add", "alice", &text(&made, "card")]);
    assert_eq!(bob.json(&["send", "alice", "hello"])["state"], "accepted");

    // It was for two. Another one mends the vault that is there.
    let (code, sentence) = uninvited.fail(&["register", "--invite", &invite]);
    assert_eq!(code, REFUSED, "{sentence}");
    assert!(sentence.contains("used up"), "{sentence}");
    let another = text(&json(&relay.operate("invite new 1 3600").await), "invite");
    uninvited.lines(&["register", "--invite", &another]);
    uninvited.json(&["contacts", "add", "alice", &text(&made, "card")]);
    assert_eq!(uninvited.json(&["send", "alice", "x"])["state"], "accepted");

    // A typing error is the client's to find: the relay is not asked.
    let (code, sentence) = uninvited.fail(&["register", "--invite", &another[..40]]);
    assert!(code == 2 && sentence.contains("mistyped"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_relay_says_so_and_takes_whom_the_operator_adds() {
    let relay = relay(Registration::Closed).await;
    let alice = Program::unmade();
    let (code, sentence) = alice.fail(&["init", "--relay", &relay.url.to_string()]);
    assert_eq!(code, REFUSED, "{sentence}");
    assert!(sentence.contains("takes no new identities"), "{sentence}");
    let address = text(&alice.json(&["address"]), "address");
    relay.operate(&format!("mailbox add {address}")).await;
    alice.lines(&["register"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_identity_is_told_and_its_friends_hear_what_they_hear_of_strangers() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let mut listening = bob.start(&["listen"]);
    alice.json(&["send", "bob", "hello"]);
    listening.line(|line| line["text"] == "hello");

    let address = text(&bob.json(&["address"]), "address");
    let told = json(&relay.operate(&format!("mailbox ban {address} 0")).await);
    assert_eq!(told["barred"], true);
    listening.line(|line| is_alarm(line, "barred this identity"));
    // It was connected, and its link has ended with the reason.
    let (code, sentence) = bob.fail(&["status"]);
    assert_eq!(code, REFUSED, "{sentence}");
    assert!(sentence.contains("barred this identity"), "{sentence}");
    drop(listening);

    let (code, sentence) = bob.fail(&["register"]);
    assert_eq!(code, REFUSED, "{sentence}");
    assert!(sentence.contains("barred this identity"), "{sentence}");
    let (code, sentence) = alice.fail(&["send", "bob", "are you there?"]);
    assert_eq!(code, REFUSED, "{sentence}");

    relay.operate(&format!("mailbox unban {address}")).await;
    bob.lines(&["register"]);
}
