//! Starting, stopping, and what an operator is told when that fails.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use hushwire_core::wire::request::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{Process, command};
use crate::support::{Client, address_of};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refused(data: &Path, arguments: &[&str]) -> Output {
    command(data).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(word), "{said}");
    assert!(output.stdout.is_empty(), "no URL without a relay");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_key_is_made_once_and_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/folder");
    let first = Process::start(&data);
    let url = first.url.clone();
    assert_eq!(mode(&data.join("relay.key")), 0o600);
    assert_eq!(mode(&data.join("store.redb")), 0o600);
    assert_eq!(mode(&data), 0o700);
    let (status, log) = first.terminate();
    assert!(status.success(), "{log}");

    let key = |url: &str| url.split_once("/#").unwrap().1.trim().to_owned();
    let second = Process::start(&data);
    assert_eq!(key(&second.url), key(&url));
    let elsewhere = Process::start(&folder.path().join("another"));
    assert_ne!(key(&elsewhere.url), key(&url));
    drop(second);

    std::fs::set_permissions(data.join("relay.key"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_refused(&refused(&data, &[]), 1, "chmod 600");
}

/// With another key every client would be shut out, and every nickname free: a store goes with its key.
#[test]
fn a_store_is_served_with_its_own_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let first = Process::start(&data);
    let url = first.url.clone();
    assert!(first.terminate().0.success());
    assert!(Process::start(&other).terminate().0.success());

    let (key, aside) = (data.join("relay.key"), folder.path().join("aside"));
    std::fs::rename(&key, &aside).unwrap();
    assert_refused(&refused(&data, &[]), 1, "no key file");
    assert!(!key.exists(), "none is made");
    std::fs::copy(other.join("relay.key"), &key).unwrap();
    assert_refused(&refused(&data, &[]), 1, "another key");

    std::fs::rename(&aside, &key).unwrap();
    let again = Process::start(&data);
    let key = |url: &str| url.split_once("/#").unwrap().1.trim().to_owned();
    assert_eq!(key(&again.url), key(&url));
}

#[test]
fn an_interrupted_back_up_leaves_nothing_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("backup-77.unfinished");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("relay.key"), "secret").unwrap();
    drop(Process::start(folder.path()));
    assert!(!left.exists());
}

#[test]
fn the_url_says_what_is_advertised() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    let mut child = command
        .args(["--advertise", "relay.example:7433"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let key = line
        .strip_prefix("hush://relay.example:7433/#")
        .unwrap()
        .trim();
    assert!(
        key.len() == 66
            && key
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
}

#[test]
fn what_cannot_work_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert_refused(&refused(data, &["--no-such-flag"]), 2, "--no-such-flag");
    assert_refused(&refused(data, &["--expiry", "soon"]), 2, "21d");
    assert_refused(
        &refused(data, &["--config", "/no/such.toml"]),
        2,
        "/no/such.toml",
    );
    assert_refused(&refused(data, &["--log", "[[["]), 2, "--log");

    let running = Process::start(data);
    assert_refused(&refused(data, &[]), 1, "another process has the store open");
    let taken = running.target.address.to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let listen = command(elsewhere.path())
        .args(["--metrics", &taken])
        .output()
        .unwrap();
    assert_refused(&listen, 1, &taken);
    drop(running);

    std::fs::write(data.join("store.redb"), [0x55; 8192]).unwrap();
    let output = refused(data, &[]);
    assert_refused(&output, 1, "hushwire-relay: the store");
    std::fs::write(data.join("relay.key"), "nothing").unwrap();
    assert_refused(&refused(data, &[]), 1, "is not a relay's key file");
}

#[test]
fn the_environment_and_the_file_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(&file, "advertise = 'from.file:1'\nlog = 'error'\n").unwrap();
    let mut command = command(folder.path());
    command
        .env("HUSHWIRE_RELAY_CONFIG", &file)
        .env("HUSHWIRE_RELAY_ADVERTISE", "127.0.0.1:9");
    let relay = Process::spawn(&mut command);
    assert!(
        relay.url.starts_with("hush://127.0.0.1:9/#"),
        "{}",
        relay.url
    );
    let (status, log) = relay.terminate();
    assert!(status.success());
    assert_eq!(log, "", "the file asked for errors only");
}

/// What the default level says names nobody and measures no single message.
#[tokio::test(flavor = "multi_thread")]
async fn a22_the_log_has_no_address_and_no_size() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Process::start(folder.path());
    let mut alice = Client::connect(&relay.target, 1).await.unwrap();
    alice.register().await.unwrap();
    let envelope = [0x5a; 7_531];
    alice
        .submit(address_of(1), &envelope)
        .await
        .unwrap()
        .unwrap();
    let name = "planted-name";
    alice
        .send(&Request::Claim {
            number: 9,
            owner: address_of(1),
            name,
        })
        .await
        .unwrap();
    alice.done(9).await.unwrap().unwrap();
    alice.send_raw(&[0, 1, 0x7f]).await.unwrap();
    alice.wait_for_close().await;

    let (status, log) = relay.terminate();
    assert!(status.success());
    assert!(log.contains("the relay takes connections"), "{log}");
    let address = address_of(1);
    for planted in [
        address.to_string(),
        hex::encode(address.0),
        format!("{:?}", address.0),
        "7531".into(),
        "7611".into(),
        name.into(),
    ] {
        assert!(!log.contains(&planted), "{planted} is in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_have_a_port_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let relay = Process::spawn(command(folder.path()).args(["--metrics", &free.to_string()]));
    let mut client = Client::connect(&relay.target, 1).await.unwrap();
    client.register().await.unwrap();
    client.submit(address_of(1), b"hi").await.unwrap().unwrap();

    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(free).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(get("/health").await.starts_with("HTTP/1.1 200"));
    assert!(get("/ready").await.starts_with("HTTP/1.1 200"));
    let mut figures = String::new();
    for _ in 0..100 {
        figures = get("/metrics").await;
        if figures.contains("hushwire_relay_submitted_total 1") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for line in [
        "hushwire_relay_submitted_total 1",
        "hushwire_relay_connections 1",
        "hushwire_relay_accounts 1",
        "hushwire_relay_stored_messages 1",
        "hushwire_relay_refused_total{reason=\"share_full\"} 0",
    ] {
        assert!(figures.contains(line), "{line} is not in:\n{figures}");
    }
    assert!(!figures.contains(&address_of(1).to_string()));
}
