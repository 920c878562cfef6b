//! Back-up, check and restore, as an operator does them.

use std::collections::HashSet;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;

use crate::process::Process;
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;

fn tool(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
    command.env_clear().args(arguments);
    command.output().expect("the program runs")
}

#[track_caller]
fn works(arguments: &[&str]) -> String {
    let output = tool(arguments);
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaint}");
    said
}

#[track_caller]
fn refused(arguments: &[&str], why: &str) {
    let output = tool(arguments);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
    assert!(complaint.contains(why), "{arguments:?}: {complaint}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn name(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

/// Everything in the mailbox, acked.
async fn read_all(bob: &mut Client) -> HashSet<Vec<u8>> {
    let mut received = HashSet::new();
    for _ in 0..bob.welcome.waiting {
        let (_, envelope) = bob.delivery().await.unwrap();
        let ack = Request::Ack(EnvelopeId::of(&envelope));
        bob.send(&ack).await.unwrap();
        received.insert(envelope);
    }
    received
}

/// Something cut the store off: nobody begins anew in its place without being told to.
#[test]
fn an_empty_file_is_no_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    Process::start(data).kill();
    let store = data.join("store.redb");
    std::fs::write(&store, b"").unwrap();
    refused(&["check", "--data", name(data)], "its file is empty");
    refused(
        &["--data", name(data), "--listen", "127.0.0.1:0"],
        "its file is empty",
    );
    assert_eq!(std::fs::metadata(&store).unwrap().len(), 0);
}

/// A socket on which somebody listens, takes the question and goes away.
#[test]
fn what_no_relay_answered_did_not_work() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    Process::start(data).kill();
    let socket = data.join("operator.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let to = data.join("kept");
    let asked = [
        vec!["status"],
        vec!["mailbox", "list"],
        vec!["backup", "--to", name(&to)],
    ];
    let times = asked.len();
    let answering = std::thread::spawn(move || {
        for _ in 0..times {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            std::io::BufReader::new(stream)
                .read_line(&mut line)
                .unwrap();
        }
    });
    for words in asked {
        refused(
            &[&words[..], &["--data", name(data)]].concat(),
            "before it had answered",
        );
    }
    answering.join().unwrap();
    assert!(!to.exists(), "half a back-up looks like one");
}

/// A back-up that is made while messages come in holds all that were accepted before it, opens as a
/// relay of the same key, and tells clients that the store went back.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_relay_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy, again) = (
        folder.path().join("data"),
        folder.path().join("copy"),
        folder.path().join("again"),
    );
    let relay = Process::start(&data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    let epoch = bob.welcome.epoch;
    drop(bob);
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut before = HashSet::new();
    for n in 0..20u8 {
        let envelope = vec![n; 200];
        let accepted = alice.submit(address_of(BOB), &envelope).await.unwrap();
        assert_eq!(accepted, Ok(()));
        before.insert(envelope);
    }

    // More comes in while it is copied.
    let load = tokio::spawn(async move {
        for n in 100..110u8 {
            alice
                .submit(address_of(BOB), &[n; 200])
                .await
                .unwrap()
                .unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    let (from, to) = (data.clone(), copy.clone());
    let backup = tokio::task::spawn_blocking(move || {
        works(&["backup", "--data", name(&from), "--to", name(&to)])
    });
    let said = backup.await.unwrap();
    load.await.unwrap();
    let told = format!("and the key are in {}", copy.display());
    assert!(said.contains(&told), "{said}");
    let mut left: Vec<_> = std::fs::read_dir(&data).unwrap().collect();
    left.retain(|entry| !matches!(entry, Ok(entry) if entry.path().is_file()));
    let [Ok(socket)] = &left[..] else {
        panic!("{left:?}");
    };
    assert_eq!(socket.file_name(), "operator.sock", "and no copy besides");
    refused(
        &["backup", "--data", name(&data), "--to", name(&copy)],
        "exists",
    );
    // What stood there is still whole.
    assert!(works(&["check", "--data", name(&copy)]).contains("all sound"));
    refused(&["check", "--data", name(&data)], "another process");
    let restore = ["restore", "--data", name(&data), "--from", name(&copy)];
    refused(&restore, "--force replaces it");
    let forced = [&restore[..], &["--force"]].concat();
    refused(&forced, "another process");
    let url = relay.url.clone();
    assert!(relay.terminate().0.success());

    assert!(works(&["check", "--data", name(&copy)]).contains("all sound"));
    works(&["restore", "--data", name(&again), "--from", name(&copy)]);
    let relay = Process::start(&again);
    let key = |url: &str| url.split_once('#').unwrap().1.trim().to_owned();
    assert_eq!(key(&relay.url), key(&url));
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_ne!(bob.welcome.epoch, epoch, "clients are told");
    let received = read_all(&mut bob).await;
    assert!(received.is_superset(&before), "{}", received.len());
    assert!(relay.terminate().0.success());

    // Over the store that was there, now that nobody uses it: its mail is as it was, read or not.
    works(&forced);
    let relay = Process::start(&data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert!(read_all(&mut bob).await.is_superset(&before));
    drop(bob);
    assert!(relay.terminate().0.success());
    // And a stopped relay is backed up, too.
    let third = folder.path().join("third");
    works(&["backup", "--data", name(&data), "--to", name(&third)]);
    refused(&["check", "--data", name(folder.path())], "holds no store");
}

/// A store without the key that it was made with serves nobody, and half a restore is in the way of the next.
#[test]
fn a_restore_that_cannot_have_the_key_puts_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    let [data, copy, again] = ["data", "copy", "again"].map(|name| folder.path().join(name));
    assert!(Process::start(&data).terminate().0.success());
    works(&["backup", "--data", name(&data), "--to", name(&copy)]);

    let nowhere = folder.path().join("no folder").join("key");
    let restore = ["restore", "--data", name(&again), "--from", name(&copy)];
    refused(
        &[&restore[..], &["--key", name(&nowhere)]].concat(),
        "no folder",
    );
    let key = copy.join("relay.key");
    let aside = folder.path().join("aside");
    std::fs::rename(&key, &aside).unwrap();
    refused(&restore, "of no use");
    std::fs::rename(&aside, &key).unwrap();
    let said = works(&restore);
    assert!(said.contains("and the key"), "{said}");
}

/// Whoever starts a second relay on a folder by mistake takes nothing from the first: not the back-up that it is
/// making.
#[test]
fn a_second_relay_on_a_folder_leaves_the_first_ones_back_up() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Process::start(folder.path());
    let unfinished = folder.path().join("backup-7.unfinished");
    std::fs::create_dir(&unfinished).unwrap();
    let second = crate::process::command_at(folder.path(), 0)
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another process"));
    assert!(unfinished.exists());
    assert!(relay.terminate().0.success());
    assert!(Process::start(folder.path()).terminate().0.success());
    assert!(!unfinished.exists(), "one that was interrupted goes");
}

/// Nobody reads what it prints, or nobody can: it serves all the same.
#[test]
fn a_relay_whose_output_is_full_serves() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::process::command_at(folder.path(), 0);
    command.stdout(std::fs::File::create("/dev/full").unwrap());
    let mut child = command.spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !tool(&["status", "--data", name(folder.path())])
        .status
        .success()
    {
        assert!(std::time::Instant::now() < deadline, "it answers nobody");
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let mut config = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
    config
        .arg("config")
        .stdout(std::fs::File::create("/dev/full").unwrap());
    assert_eq!(
        config.status().unwrap().code(),
        Some(1),
        "an answer was lost"
    );
}

/// A back-up without the key would be of no use.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_elsewhere_is_backed_up_and_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, key, copy) = (path("data"), path("link.key"), path("copy"));
    let start = |data: &Path, key: &Path| {
        Process::spawn(crate::process::command_at(data, 0).arg("--key").arg(key))
    };
    let relay = start(&data, &key);
    let url = relay.url.clone();
    let running = path("running");
    works(&["backup", "--data", name(&data), "--to", name(&running)]);
    assert!(running.join("relay.key").exists());
    assert!(relay.terminate().0.success());

    let backup = ["backup", "--data", name(&data), "--to", name(&copy)];
    refused(&backup, "give --key");
    assert!(!copy.exists());
    works(&[&backup[..], &["--key", name(&key)]].concat());

    let (again, other) = (path("again"), path("other.key"));
    let restore = ["restore", "--data", name(&again), "--from", name(&copy)];
    works(&[&restore[..], &["--key", name(&other)]].concat());
    assert!(!again.join("relay.key").exists());
    let relay = start(&again, &other);
    let pinned = |url: &str| url.split_once('#').unwrap().1.trim().to_owned();
    assert_eq!(pinned(&relay.url), pinned(&url));
    assert!(relay.terminate().0.success());
}

/// R3: one damaged message costs that message, and everybody is told.
#[tokio::test(flavor = "multi_thread")]
async fn r3_a_damaged_row_costs_itself_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let relay = Process::start(&data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    for n in 0..10u8 {
        alice
            .submit(address_of(BOB), &[n; 300])
            .await
            .unwrap()
            .unwrap();
    }
    drop(alice);
    assert!(relay.terminate().0.success());

    let file = data.join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let victim = bytes.windows(300).position(|window| window == [7; 300]);
    bytes[victim.expect("the envelope is in the file") + 150] ^= 0x10;
    std::fs::write(&file, &bytes).unwrap();

    refused(&["check", "--data", name(&data)], "1 of ");
    let relay = Process::start(&data);
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    let received = read_all(&mut bob).await;
    let expected: HashSet<_> = (0..10u8)
        .filter(|n| *n != 7)
        .map(|n| vec![n; 300])
        .collect();
    assert_eq!(received, expected);
    let copy = folder.path().join("copy");
    let (from, to) = (data.clone(), copy.clone());
    let backup = tokio::task::spawn_blocking(move || {
        works(&["backup", "--data", name(&from), "--to", name(&to)])
    });
    assert!(backup.await.unwrap().contains("without 1 damaged rows"));
    drop(bob);
    let (status, log) = relay.terminate();
    assert!(status.success());
    assert!(log.contains("damaged rows"), "{log}");
    assert!(works(&["check", "--data", name(&copy)]).contains("all sound"));
}
