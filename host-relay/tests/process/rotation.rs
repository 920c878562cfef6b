//! `hushwire-relay key`, as an operator uses it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hushwire_relay::key::RelayKey;

use crate::process::Process;
use crate::support::{Client, Target, fails};

/// A command on a data folder: whether it worked, and what it said.
fn key(data: &Path, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"))
        .env_clear()
        .args(words)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The keys that the running relay answers to.
fn keys(data: &Path) -> Vec<(String, Option<u64>)> {
    let (worked, status) = key(data, &["status"]);
    assert!(worked, "{status}");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let keys = status["keys"].as_array().unwrap().iter();
    keys.map(|key| {
        let public = key["key"].as_str().unwrap().to_owned();
        (public, key["until_unix_s"].as_u64())
    })
    .collect()
}

/// R5: a clock that is years ahead for one start ends no overlap for good.
#[tokio::test(flavor = "multi_thread")]
async fn r5_no_start_takes_a_former_key_out_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    Process::start(data).kill();
    let file = data.join("relay.key");
    // It was good until Unix time 90: by the clock of this start it has been over for decades.
    RelayKey::rotate(&file, Duration::from_secs(90), 0).unwrap();
    let before = std::fs::read_to_string(&file).unwrap();
    let relay = Process::start(data);
    assert_eq!(keys(data)[1].1, Some(90));
    relay.kill();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_shown_and_retired() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (worked, said) = key(data, &["key", "rotate"]);
    assert!(!worked && said.contains("first start"), "{said}");
    let relay = Process::start(data);
    let first = relay.target;
    let hex = |target: &Target| hex::encode(target.key.bytes());
    assert_eq!(keys(data), [(hex(&first), None)]);

    let (worked, said) = key(data, &["key", "rotate"]);
    assert!(worked && said.contains("restart the relay"), "{said}");
    assert!(said.contains(&format!("{} former", hex(&first))), "{said}");
    assert!(said.contains("good for 90 more days"), "{said}");
    // Until its restart the relay is what it was.
    assert_eq!(keys(data), [(hex(&first), None)]);
    Client::connect(&first, 1).await.unwrap();
    relay.kill();
    for _ in 0..2 {
        let relay = Process::start(data);
        assert_ne!(hex(&relay.target), hex(&first));
        let known = keys(data);
        assert_eq!(known[0], (hex(&relay.target), None));
        assert_eq!(known[1].0, hex(&first));
        assert!(known[1].1.is_some());
        let former = Target {
            key: first.key,
            ..relay.target
        };
        Client::connect(&former, 1).await.unwrap();
        Client::connect(&relay.target, 1).await.unwrap();
        relay.kill();
    }
    let mode = std::fs::metadata(data.join("relay.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);

    let (worked, said) = key(data, &["key", "retire"]);
    assert!(worked && !said.contains(&hex(&first)), "{said}");
    let relay = Process::start(data);
    let former = Target {
        key: first.key,
        ..relay.target
    };
    fails(Client::connect(&former, 1).await, "a key that was retired");
    assert_eq!(keys(data), [(hex(&relay.target), None)]);

    // A stolen key gets no overlap.
    let stolen = hex(&relay.target);
    let (worked, said) = key(data, &["key", "rotate", "--overlap", "0s"]);
    assert!(worked && !said.contains(&stolen), "{said}");
    let (worked, said) = key(data, &["key", "rotate", "--overlap", "ninety"]);
    assert!(!worked && said.contains("as in 300s or 21d"), "{said}");
    // The store goes with it all the same.
    relay.kill();
    let relay = Process::start(data);
    Client::connect(&relay.target, 1).await.unwrap();
    assert_ne!(hex(&relay.target), stolen);
}

/// All keys of a file that was stolen are the thief's.
#[test]
fn without_an_overlap_no_former_key_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    Process::start(data).kill();
    let (worked, said) = key(data, &["key", "rotate"]);
    assert!(worked && said.contains("former"), "{said}");
    let (worked, said) = key(data, &["key", "rotate", "--overlap", "0s"]);
    assert!(
        worked && said.contains("give every client the new URL"),
        "{said}"
    );
    assert!(!said.contains("good for"), "{said}");
    Process::start(data).kill();
}

/// A back-up is of its relay whatever its key was then, and of no other.
#[test]
fn a_back_up_is_restored_behind_a_rotation_and_by_no_other_relay() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, kept) = (folder.path(), folder.path().join("kept"));
    Process::start(data).kill();
    let kept = kept.to_str().unwrap();
    let (worked, said) = key(data, &["backup", "--to", kept]);
    assert!(worked, "{said}");
    let (worked, said) = key(data, &["key", "rotate", "--overlap", "0s"]);
    assert!(worked, "{said}");
    Process::start(data).kill();
    let (worked, said) = key(data, &["restore", "--force", "--from", kept]);
    assert!(worked, "{said}");
    Process::start(data).kill();

    let other = other.path();
    Process::start(other).kill();
    let (worked, said) = key(other, &["restore", "--force", "--from", kept]);
    assert!(!worked && said.contains("another key file"), "{said}");
    Process::start(other).kill();
    std::fs::remove_file(other.join("relay.key")).unwrap();
    let (worked, said) = key(other, &["restore", "--force", "--from", kept]);
    assert!(worked && said.contains("and the key"), "{said}");
    Process::start(other).kill();
}
