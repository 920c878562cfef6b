//! The `hushwire` program itself, as people and programs use it.

mod common;
mod program;

use common::Relay;
use hushwire_relay::limits::Limits;
use program::{Program, is_alarm, text};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_talk_and_wait_for_receipts() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let sent = alice.json(&["send", "bob", "hello"]);
    assert_eq!(sent["state"], "accepted");
    let mut listening = bob.start(&["listen"]);
    let message = listening.line(|line| line["text"] == "hello");
    assert_eq!(
        (&message["contact"], &message["direction"]),
        (&json!("alice"), &json!("in"))
    );
    // The receipt, waited for; standard input as the text.
    let sent = alice.run_with(&["send", "bob", "-", "--wait"], b"from a pipe");
    assert_eq!(text(&sent, "state"), "delivered");
    listening.line(|line| line["text"] == "from a pipe");
    let history = alice.lines(&["inbox", "--with", "bob", "--since", "1h"]);
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(|message| message["direction"] == "out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_program_hands_its_command_to_the_running_one() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let mut at_bob = bob.start(&["listen"]);
    alice.json(&["send", "bob", "one"]);
    at_bob.line(|line| line["text"] == "one");

    // The vault is locked by `listen`: what works now works through its socket.
    let mode = std::fs::metadata(bob.vault().join("socket")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let sent = bob.json(&["send", "alice", "two", "--queue"]);
    let id = text(&sent, "id");
    at_bob.line(|line| line["id"] == id.as_str() && line["state"] == "accepted");
    assert_eq!(bob.lines(&["inbox"]).len(), 2);
    assert_eq!(bob.lines(&["contacts", "list"]).len(), 1);
    assert_eq!(bob.json(&["status"])["relays"][0]["up"], true);
    bob.json(&["contacts", "rename", "alice", "al"]);
    assert_eq!(bob.json(&["contacts", "list"])["name"], "al");
    assert_eq!(bob.fail(&["send", "alice", "x"]).0, 8);

    // A second listener takes over when the first one is gone, killed or not.
    let mut second = bob.start(&["listen"]);
    at_bob.kill();
    alice.json(&["send", "bob", "three"]);
    second.line(|line| line["text"] == "three");
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_sends_lines_and_shows_answers() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let mut at_bob = bob.start(&["listen"]);
    let mut chat = alice.start(&["chat", "bob"]);
    chat.write("how are you?\n");
    at_bob.line(|line| line["text"] == "how are you?");
    bob.json(&["send", "alice", "fine"]);
    chat.line(|line| line["text"] == "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_command() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let mut listening = bob.command(&["listen"]).spawn().unwrap();
    drop(listening.stdout.take());
    alice.json(&["send", "bob", "is anybody there?"]);
    assert!(!listening.wait().unwrap().success());
    assert_eq!(bob.lines(&["inbox", "--offline"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_a_message() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    alice.run_with(&["send", "bob", "--lines"], b"one\ntwo\nthree\n");
    let texts: Vec<_> = bob
        .lines(&["inbox"])
        .iter()
        .map(|line| text(line, "text"))
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_changes_nothing() {
    let relay = Relay::start().await;
    let mut alice = Program::new(&relay);
    let address = text(&alice.json(&["address"]), "address");
    alice.passphrase = "wrong".into();
    let (code, complaint) = alice.fail(&["address"]);
    assert_eq!(
        (code, complaint.contains("the passphrase is wrong")),
        (3, true),
        "{complaint}"
    );
    alice.passphrase = "right".into();
    assert_eq!(text(&alice.json(&["address"]), "address"), address);

    alice.environment = vec![("HUSHWIRE_NEW_PASSPHRASE", "newer".into())];
    alice.json(&["passwd"]);
    assert_eq!(alice.fail(&["address"]).0, 3, "the old one opens nothing");
    alice.passphrase = "newer".into();
    assert_eq!(text(&alice.json(&["address"]), "address"), address);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_vault_is_told_and_left_alone() {
    let relay = Relay::start().await;
    let alice = Program::new(&relay);
    assert_eq!(
        alice.fail(&["init", "--relay", &relay.url.to_string()]).0,
        4,
        "there is one"
    );
    let path = alice.vault().join("vault.redb");
    let whole = std::fs::read(&path).unwrap();
    for damage in [&[][..], &whole[..whole.len() / 2], b"something else"] {
        std::fs::write(&path, damage).unwrap();
        let (code, complaint) = alice.fail(&["address"]);
        assert_eq!(
            (code, complaint.contains("damaged")),
            (4, true),
            "{complaint}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    alice.json(&["address"]);
    std::fs::remove_file(&path).unwrap();
    let (code, complaint) = alice.fail(&["address"]);
    assert_eq!(
        (code, complaint.contains("hushwire init")),
        (4, true),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_relay_what_is_sent_waits() {
    let mut relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    relay.stop().await;
    let (code, complaint) = alice.fail(&["send", "bob", "later", "--timeout", "1"]);
    assert_eq!(
        (code, complaint.contains("queued")),
        (6, true),
        "{complaint}"
    );
    assert_eq!(alice.fail(&["status"]).0, 6);
    let mut listening = alice.start(&["listen"]);
    listening.line(|line| is_alarm(line, "cannot be reached"));
    relay.resume().await;
    let (mut is_back, mut is_accepted) = (false, false);
    listening.line(|line| {
        is_back |= is_alarm(line, "is there again");
        is_accepted |= line["state"] == "accepted";
        is_back && is_accepted
    });
    assert_eq!(bob.json(&["inbox"])["text"], "later");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_a_sentence_and_a_code() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    let card = text(&bob.json(&["address"]), "card");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["send", "nobody", "x"], 8, "no contact called nobody"),
        (
            &["contacts", "add", "x", "@nobody"],
            8,
            "nobody is called @nobody",
        ),
        (&["contacts", "add", "x", "hush://half"], 11, "contact card"),
        (
            &["contacts", "add", "x", &card[..card.len() - 1]],
            11,
            "mistyped",
        ),
        (&["contacts", "add", "bob", &card], 11, "already"),
        (&["inbox", "--since", "someday"], 11, "no date"),
        (&["nickname", "claim", "X"], 11, "a nickname has"),
        (&["verify", "bob", "--accept"], 1, "no changed key"),
        (&["init", "--relay", &card], 11, "it is a contact card"),
        (&["frobnicate"], 2, "Usage"),
    ];
    for (arguments, code, part) in cases {
        let (found, complaint) = alice.fail(arguments);
        assert_eq!(found, *code, "{arguments:?}: {complaint}");
        assert!(complaint.contains(part), "{arguments:?}: {complaint}");
    }
    alice.json(&["contacts", "block", "bob"]);
    assert_eq!(alice.fail(&["send", "bob", "x"]).0, 9);

    // A relay with another key than the URL's.
    let other = Relay::start().await;
    let mut url = relay.url.clone();
    url.key = other.url.key;
    let (code, complaint) = Program::unmade().fail(&["init", "--relay", &url.to_string()]);
    assert_eq!(
        (code, complaint.contains("does not prove")),
        (7, true),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_puts_a_message_off() {
    let limits = Limits {
        mailbox_messages: 4,
        ..Limits::default()
    };
    let relay = Relay::with(limits).await;
    let (alice, bob) = Program::friends(&relay);
    alice.json(&["send", "bob", "one"]);
    let (code, complaint) = alice.fail(&["send", "bob", "two"]);
    assert_eq!(
        (code, complaint.contains("queued")),
        (10, true),
        "{complaint}"
    );
    // Once there is room, it goes out.
    let mut at_alice = alice.start(&["listen"]);
    let mut at_bob = bob.start(&["listen"]);
    at_bob.line(|line| line["text"] == "one");
    at_bob.line(|line| line["text"] == "two");
    at_alice.line(|line| line["state"] == "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_bring_an_identity_back() {
    let relay = Relay::start().await;
    let alice = Program::unmade();
    let url = relay.url.to_string();
    let made = alice.json(&["init", "--relay", &url]);
    let words = text(&made, "words");
    let elsewhere = Program::unmade();
    let restored = elsewhere.run_with(&["restore", "--relay", &url], words.as_bytes());
    assert_eq!(restored["address"], made["address"]);
    let wrong = words.replacen(' ', " notaword ", 1);
    let (code, complaint) =
        Program::unmade().fail_with(&["restore", "--relay", &url], wrong.as_bytes());
    assert_eq!(code, 11);
    assert!(
        !complaint.contains("notaword"),
        "words are never shown: {complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_deletes_what_the_relay_has() {
    let relay = Relay::start().await;
    let (alice, bob) = Program::friends(&relay);
    bob.json(&["nickname", "claim", "bobby"]);
    bob.json(&["leave", "--yes"]);
    assert_eq!(alice.fail(&["contacts", "add", "b", "@bobby"]).0, 8);
    assert_eq!(
        alice.fail(&["send", "bob", "x", "--timeout", "5"]).0,
        8,
        "no keys any more"
    );
}

#[test]
fn completions_are_printed_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let out = Program::unmade()
            .command(&["completions", shell])
            .output()
            .unwrap();
        let script = String::from_utf8(out.stdout).unwrap();
        assert!(
            out.status.success() && script.contains("nickname"),
            "{shell}"
        );
    }
}

#[test]
fn nothing_hangs_without_a_terminal() {
    let mut program = Program::unmade();
    program.passphrase = String::new();
    let output = program.command(&["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
}
