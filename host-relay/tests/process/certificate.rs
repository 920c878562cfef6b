//! TLS and WebSocket listeners of the program: URLs, wrong files, renewal by SIGHUP.

use std::process::Command;
use std::time::Duration;

use crate::process::{Process, command};
use crate::support::coats::{Pair, Way, bridge};
use crate::support::{Client, Target, fails};

fn tls(folder: &std::path::Path, pair: &Pair) -> Command {
    let mut command = command(folder);
    command.args(["--listen-ws", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&pair.cert);
    command.arg("--tls-key").arg(&pair.key);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_has_a_url_and_hangup_renews_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::make(folder.path(), "relay");
    let mut relay = Process::spawn(&mut tls(folder.path(), &pair));
    let plain = relay.url.trim().to_owned();
    let [web, secure, both] = [(); 3].map(|()| relay.line());
    let at = |url: &str, scheme: &str| {
        let rest = url.strip_prefix(scheme).unwrap_or_else(|| panic!("{url}"));
        assert_eq!(
            rest.split_once("/#").unwrap().1,
            plain.split_once("/#").unwrap().1
        );
        Target::parse(&format!("hush://{rest}")).address
    };
    let (web, secure) = (at(&web, "hush+ws://"), at(&secure, "hush+tls://"));
    assert_eq!(at(&both, "hush+wss://"), secure);

    let client = async |way, to| -> crate::support::Result<()> {
        let target = bridge(way, to, &relay.target).await?;
        Client::connect(&target, 1).await?.ping().await
    };
    client(Way::Ws, web).await.unwrap();
    client(Way::Tls(&pair), secure).await.unwrap();
    client(Way::Wss(&pair), secure).await.unwrap();

    let fresh = Pair::make(folder.path(), "fresh");
    std::fs::copy(&fresh.cert, &pair.cert).unwrap();
    std::fs::copy(&fresh.key, &pair.key).unwrap();
    fails(
        client(Way::Tls(&fresh), secure).await,
        "a certificate not read yet",
    );
    let sent = Command::new("kill")
        .arg("-HUP")
        .arg(relay.id().to_string())
        .status();
    assert!(sent.unwrap().success());
    let mut renewed = false;
    for _ in 0..100 {
        renewed = client(Way::Tls(&fresh), secure).await.is_ok();
        if renewed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(renewed, "SIGHUP reads the files again");
    let (status, log) = relay.terminate();
    assert!(status.success() && log.contains("read again"), "{log}");
}

#[test]
fn wrong_certificates_are_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (pair, other) = (Pair::make(path, "relay"), Pair::make(path, "other"));
    let refused = |cert: &std::path::Path, key: &std::path::Path| {
        let mut command = command(path);
        command.args(["--listen-tls", "127.0.0.1:0"]);
        let output = command
            .arg("--tls-cert")
            .arg(cert)
            .arg("--tls-key")
            .arg(key);
        let output = output.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "no URL without a relay");
        String::from_utf8(output.stderr).unwrap()
    };
    let torn = path.join("torn.pem");
    let text = std::fs::read_to_string(&pair.cert).unwrap();
    std::fs::write(&torn, &text[..text.len() / 2]).unwrap();
    let garbage = path.join("garbage.pem");
    let inner = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&garbage, inner).unwrap();
    for (cert, key, word) in [
        (&path.join("none"), &pair.key, "cannot be read"),
        (&pair.cert, &path.join("none"), "cannot be read"),
        (&pair.key, &pair.key, "holds no certificate"),
        (&torn, &pair.key, "holds no certificate"),
        (&garbage, &pair.key, "cannot be used"),
        (&pair.cert, &pair.cert, "holds no private key"),
        (&pair.cert, &other.key, "does not belong to"),
    ] {
        let said = refused(cert, key);
        assert!(said.contains(word) && !said.contains("panicked"), "{said}");
    }
}

/// What an idle link costs the relay, for each way in. Run it by its name: it asserts a bound that is
/// far above, and prints the figures.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_of_idle_links() {
    const LINKS: u16 = 500;
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::make(folder.path(), "relay");
    let mut relay = Process::spawn(&mut tls(folder.path(), &pair));
    let [web, secure, _] = [(); 3].map(|()| relay.line());
    let at = |url: &str| {
        let (_, rest) = url.split_once("://").unwrap();
        Target::parse(&format!("hush://{rest}")).address
    };
    let (web, secure) = (at(&web), at(&secure));
    let resident_kib = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let digits = line.unwrap().split_whitespace().nth(1);
        digits.unwrap().parse().unwrap()
    };
    let mut held = Vec::new();
    let mut seed = 1;
    for (name, way) in [
        ("TCP", None),
        ("WebSocket", Some((Way::Ws, web))),
        ("TLS", Some((Way::Tls(&pair), secure))),
        ("WebSocket in TLS", Some((Way::Wss(&pair), secure))),
    ] {
        let before = resident_kib();
        for _ in 0..LINKS {
            let target = match way {
                None => relay.target,
                Some((way, to)) => bridge(way, to, &relay.target).await.unwrap(),
            };
            held.push(Client::connect(&target, seed).await.unwrap());
            seed += 1;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let each = (resident_kib() - before) as f64 / f64::from(LINKS);
        println!("{name}: {each:.1} KiB for each idle link of {LINKS}");
        assert!(each < 100.0);
    }
}
