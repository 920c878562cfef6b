//! `hushwire-relay check --repair` on a store that the disk altered.

use std::path::Path;
use std::process::Command;

use hushwire_core::wire::request::Request;

use crate::process::Process;
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;

/// Exit code and everything that was said.
fn check(data: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
    let output = command
        .env_clear()
        .arg("check")
        .arg("--data")
        .arg(data)
        .args(flags)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Flips a bit in the middle of a row that has these bytes in it, wherever the file has them.
fn damage(data: &Path, needle: &[u8]) {
    let file = data.join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let found = bytes.windows(needle.len()).enumerate();
    let places: Vec<_> = found
        .filter(|(_, window)| *window == needle)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the row is in the file");
    for at in places {
        bytes[at + needle.len() / 2] ^= 0x10;
    }
    std::fs::write(&file, &bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stands_aside_and_what_disagrees_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let relay = Process::start(data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    let bundle = bob.bundle(1);
    bob.upload(20).await.unwrap();
    let number = bob.number();
    let (owner, name) = (address_of(BOB), "bob");
    let claim = Request::Claim {
        number,
        owner,
        name,
    };
    bob.send(&claim).await.unwrap();
    assert_eq!(bob.done(number).await.unwrap(), Ok(()));
    drop(bob);
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    for n in 0..10u8 {
        let said = alice.submit(address_of(BOB), &[n; 300]).await.unwrap();
        assert_eq!(said, Ok(()));
    }
    drop(alice);
    let (code, said) = check(data, &["--repair"]);
    assert!(
        code == Some(1) && said.contains("another process"),
        "{said}"
    );
    assert!(relay.terminate().0.success());

    let (code, said) = check(data, &["--repair"]);
    assert!(code == Some(0) && said.contains("all sound"), "{said}");
    assert!(!data.join("set-aside-1.jsonl").exists(), "nothing to do");

    // A message, and the prekeys' row: the account's count of them is then wrong.
    damage(data, &[7; 300]);
    let prekeys: Vec<u8> = 5u32.to_be_bytes().into_iter().collect();
    let point = crate::support::identity(1);
    use hushwire_core::identity::IdentityKeys as _;
    damage(
        data,
        &[&prekeys[..], point.public().agreement().bytes()].concat(),
    );
    let (code, said) = check(data, &[]);
    assert!(code == Some(1) && said.contains("2 of "), "{said}");
    assert!(said.contains("1 accounts"), "{said}");
    let (code, said) = check(data, &["--repair"]);
    assert!(
        code == Some(0) && said.contains("set-aside-1.jsonl"),
        "{said}"
    );
    let aside = std::fs::read_to_string(data.join("set-aside-1.jsonl")).unwrap();
    let tables: Vec<_> = aside
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["table"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tables, ["prekeys", "messages", "accounts"]);
    assert!(aside.contains(&"07".repeat(100)), "the altered row itself");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = data.join("set-aside-1.jsonl").metadata().unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    assert!(check(data, &[]).1.contains("all sound"));

    // The relay goes on with the rest; bob learns that he has no prekeys any more.
    let relay = Process::start(data);
    let bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(bob.welcome.waiting, 9);
    assert_eq!((bob.welcome.prekeys, bob.welcome.bundle_counter), (0, 1));
    drop(bob);
    assert!(relay.terminate().0.success());

    // His bundle is gone: he is told to publish it again. His name's row is well, and stays his.
    damage(data, &bundle[bundle.len() - 150..bundle.len() - 64]);
    let (code, said) = check(data, &["--repair"]);
    assert!(
        code == Some(0) && said.contains("set-aside-2.jsonl"),
        "{said}"
    );
    let relay = Process::start(data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(bob.welcome.bundle_counter, 0);
    bob.register().await.unwrap();
    assert!(relay.terminate().0.success());
    assert!(check(data, &[]).1.contains("all sound"));
}
