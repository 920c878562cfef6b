//! The relay's program gets a new key; people with the client's program follow it, or are told.

mod common;
mod program;

use std::{net::TcpListener, path::Path, time::Duration};

use common::{PATIENCE, Person, Relay, friends};
use hushwire::{Error, RelayUrl};
use program::{
    Program,
    relay::{RelayProgram, become_relay, relay_command},
    text,
};
use serde_json::Value;

/// Not a test: the relay of the tests below, as a process of its own.
#[test]
#[ignore = "the other tests start it"]
fn relay_program() {
    become_relay();
}

/// A relay whose port stays the same.
struct Place {
    folder: tempfile::TempDir,
    listen: String,
}

impl Place {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            listen: free.local_addr().unwrap().to_string(),
        }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> RelayProgram {
        RelayProgram::start(self.data(), &["--listen", &self.listen], 1)
    }

    /// One of the operator's commands on the key.
    fn key(&self, words: &[&str]) {
        let arguments = [&["key"], words, &["--data", self.data().to_str().unwrap()]].concat();
        let output = relay_command(&arguments).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}

/// A program with a vault, and its card.
fn member(url: &str) -> (Program, String) {
    let program = Program::unmade();
    let card = text(&program.json(&["init", "--relay", url]), "card");
    (program, card)
}

fn card(program: &Program) -> String {
    text(&program.json(&["address"]), "card")
}

/// The texts that came in.
fn received(program: &Program) -> Vec<String> {
    let lines = program.lines(&["inbox"]);
    let texts = lines.iter().filter(|line| line["direction"] != "out");
    texts
        .filter_map(|line| line["text"].as_str().map(str::to_owned))
        .collect()
}

fn relays(program: &Program) -> Vec<Value> {
    let status = program.lines(&["status"]);
    let status = status.iter().find(|line| line["relays"].is_array());
    status.unwrap()["relays"].as_array().unwrap().clone()
}

/// Says what a program tells of what happened.
fn alarms(program: &Program) -> String {
    let lines = program.lines(&["status"]);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn who_comes_in_the_overlap_follows_and_who_does_not_is_told_what_to_do() {
    let place = Place::new();
    let relay = place.start();
    let old = relay.url("hush://");
    let ((alice, alice_old), (bob, bob_old)) = (member(&old), member(&old));
    alice.json(&["contacts", "add", "bob", &bob_old]);
    bob.json(&["contacts", "add", "alice", &alice_old]);
    alice.json(&["send", "bob", "under the first key"]);
    place.key(&["rotate"]);
    drop(relay);

    // Both keys are good; Alice comes by the old one and is told. Bob is away.
    let relay = place.start();
    let new = relay.url("hush://");
    assert_ne!(new, old);
    assert!(alice_old.starts_with(&old) && card(&alice).starts_with(&old));
    alice.json(&["send", "bob", "in the overlap"]);
    assert!(card(&alice).starts_with(&new), "pinned, and given out");
    assert!(alarms(&alice).contains("has a new key"));
    assert!(card(&bob).starts_with(&old));

    // A newcomer has the new URL from the operator, and Alice's old card.
    let (carol, _) = member(&new);
    carol.json(&["contacts", "add", "alice", &alice_old]);
    carol.json(&["send", "alice", "from carol"]);
    assert_eq!(relays(&carol).len(), 1, "one relay, one link");
    assert_eq!(received(&alice), ["from carol"]);
    drop(relay);

    // The overlap is over: Alice does not notice, Bob is told what to do.
    place.key(&["retire"]);
    let _relay = place.start();
    alice.json(&["send", "bob", "after the overlap"]);
    let (code, said) = bob.fail(&["send", "alice", "lost?"]);
    assert!(code == 7 && said.contains("hushwire relay URL"), "{said}");
    assert!(card(&bob).starts_with(&old), "nothing changed by itself");
    bob.json(&["relay", &new]);
    assert_eq!(
        received(&bob),
        ["under the first key", "in the overlap", "after the overlap"]
    );
    bob.json(&["send", "alice", "here again"]);
    let heard = received(&alice);
    assert!(
        heard.contains(&"lost?".to_owned()),
        "queued meanwhile: {heard:?}"
    );
    assert!(heard.contains(&"here again".to_owned()), "{heard:?}");
    assert!(card(&bob).starts_with(&new));
}

#[test]
fn keys_that_are_rotated_twice_in_one_absence_are_followed_in_one_step() {
    let place = Place::new();
    let relay = place.start();
    let (alice, _) = member(&relay.url("hush://"));
    drop(relay);
    place.key(&["rotate"]);
    place.key(&["rotate", "--overlap", "1d"]);
    let relay = place.start();
    assert_eq!(relays(&alice).len(), 1);
    assert!(card(&alice).starts_with(&relay.url("hush://")));
}

#[test]
fn a_relay_that_has_moved_is_given_anew() {
    let (one, other) = (Place::new(), Place::new());
    let relay = one.start();
    let (alice, _) = member(&relay.url("hush://"));
    drop(relay);
    let relay = other.start();
    let url = relay.url("hush://");
    let (code, said) = alice.fail(&["relay", &url]);
    assert!(code == 8 && said.contains("--replaces"), "{said}");
    alice.json(&["relay", &url, "--replaces", &one.listen]);
    let relays = relays(&alice);
    assert_eq!(relays.len(), 1);
    assert!(card(&alice).starts_with(&url));
    assert_eq!(relays[0]["up"], true, "{relays:?}");
}

/// The relay's key as a client has pinned it.
async fn pinned(person: &Person) -> RelayUrl {
    person.client.card().await.unwrap().relay
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stay_online_follow_the_key() {
    let mut relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    relay.rotate_key().await;
    for person in [&alice, &bob] {
        let mut tries = 0;
        while pinned(person).await == relay.url {
            tries += 1;
            assert!(tries < 600, "the new key never came");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    alice.tell("bob", "by the old link").await;
    relay.retire_keys().await;
    alice.tell("bob", "by a new one").await;
    bob.hears("by a new one").await;
    assert_ne!(pinned(&alice).await, relay.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stays_online_goes_where_it_is_told() {
    let (mut one, other) = (Relay::start().await, Relay::start().await);
    let alice = Person::at(&one).await;
    one.stop().await;
    let moved = alice.client.move_relay(other.url.clone(), None).await;
    assert!(matches!(moved, Err(Error::UnknownRelay(_))));
    let moved = alice
        .client
        .move_relay(other.url.clone(), Some(one.place()));
    moved.await.unwrap();
    alice.client.registered(PATIENCE).await.unwrap();
    assert_eq!(pinned(&alice).await, other.url);
}
