//! What is handed to operators fits the program: alerts, dashboard, unit, container, settings.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hushwire_core::wire::answer::{Answer, NoticeKind};
use hushwire_core::wire::invite::Invite;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{Process, command};
use crate::support::{Client, address_of, fails};

const ALERTS: &str = include_str!("../../contrib/prometheus-alerts.yml");
const DASHBOARD: &str = include_str!("../../contrib/grafana-dashboard.json");
const UNIT: &str = include_str!("../../contrib/hushwire-relay.service");
const CONTAINER: &str = include_str!("../../contrib/Containerfile");
const OPERATING: &str = include_str!("../../../docs/OPERATING.md");

/// A relay with metrics, and where they are.
pub(crate) fn with_metrics(data: &Path) -> (Process, std::net::SocketAddr) {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let relay = Process::spawn(command(data).args(["--metrics", &address.to_string()]));
    (relay, address)
}

pub(crate) async fn get(from: std::net::SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(from).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Every word that begins like one of the relay's figures.
fn figures(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("hushwire_relay_"))
        .collect()
}

fn value(scrape: &str, name: &str) -> Option<f64> {
    let line = scrape.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_has_every_figure_that_the_alerts_and_the_dashboard_name() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, metrics) = with_metrics(folder.path());
    let mut client = Client::connect(&relay.target, 1).await.unwrap();
    client.register().await.unwrap();
    client.submit(address_of(1), b"hi").await.unwrap().unwrap();
    assert!(get(metrics, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(metrics, "/readyz").await.starts_with("HTTP/1.1 200"));

    let mut scrape = String::new();
    for _ in 0..100 {
        scrape = get(metrics, "/metrics").await;
        if value(&scrape, "hushwire_relay_oldest_message_seconds") > Some(0.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(value(&scrape, "hushwire_relay_oldest_message_seconds") > Some(0.0));
    assert_eq!(value(&scrape, "hushwire_relay_ready"), Some(1.0));
    assert_eq!(value(&scrape, "hushwire_relay_stored_messages"), Some(1.0));

    let there = figures(&scrape);
    for (file, text) in [
        ("alerts", ALERTS),
        ("dashboard", DASHBOARD),
        ("OPERATING.md", OPERATING),
    ] {
        let named = figures(text);
        assert!(named.len() > 10, "{file} names figures");
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_with_few_prekeys_and_fetches_that_find_none_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, metrics) = with_metrics(folder.path());
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    bob.register().await.unwrap();
    let low = "hushwire_relay_prekeys_low";
    becomes(metrics, low, 1.0).await;
    // A device's whole set is no few.
    bob.upload(3).await.unwrap();
    becomes(metrics, low, 0.0).await;
    let mut alice = Client::connect(&relay.target, 2).await.unwrap();
    assert!(alice.fetch(address_of(1)).await.unwrap().unwrap().is_some());
    becomes(metrics, low, 1.0).await;
    for left in [true, true, false] {
        let prekey = alice.fetch(address_of(1)).await.unwrap().unwrap();
        assert_eq!(prekey.is_some(), left);
    }
    becomes(metrics, "hushwire_relay_prekeys_exhausted_total", 1.0).await;
    becomes(metrics, low, 1.0).await;

    // After a start it is known of who comes or is asked for.
    relay.kill();
    let (relay, metrics) = with_metrics(folder.path());
    becomes(metrics, low, 0.0).await;
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    becomes(metrics, low, 1.0).await;
    bob.upload(8).await.unwrap();
    becomes(metrics, low, 0.0).await;
}

/// Waits until a figure is what it should be.
#[track_caller]
fn becomes(
    metrics: std::net::SocketAddr,
    figure: &'static str,
    expected: f64,
) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        let mut found = None;
        for _ in 0..100 {
            found = value(&get(metrics, "/metrics").await, &format!("{figure} "));
            if found == Some(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{figure} is {found:?} and not {expected}: {at}");
    }
}

#[test]
fn the_dashboard_is_json_and_every_alert_is_whole_and_explained() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 12);
    let mut alerts = 0;
    for rule in ALERTS.split("- alert: ").skip(1) {
        alerts += 1;
        let name = rule.lines().next().unwrap();
        for part in [
            "expr: '",
            "for: ",
            "severity: ",
            "summary: '",
            "description: '",
        ] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let short = name.strip_prefix("HushwireRelay").unwrap();
        assert!(
            OPERATING.contains(&format!("| `{short}` |")),
            "{name} is not explained"
        );
    }
    assert!(alerts >= 12);
}

#[test]
fn every_reason_of_a_refusal_is_explained() {
    for (_, name) in hushwire_relay::tally::REASONS {
        assert!(OPERATING.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// Flags, variables and exit codes in the unit and the container file exist.
#[test]
fn the_unit_and_the_container_say_what_the_program_knows() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_hushwire-relay"))
        .env_clear()
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c))
            .map(str::to_owned)
            .collect()
    };
    let start = UNIT
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    let flags = words(start)
        .into_iter()
        .filter(|word| word.starts_with("--"));
    let variables = words(CONTAINER).into_iter();
    let variables = variables.filter(|word| word.starts_with("HUSHWIRE_RELAY_"));
    let named: BTreeSet<_> = flags.chain(variables).collect();
    assert!(named.len() >= 6);
    for word in named {
        assert!(help.contains(&word), "{word} is not in --help");
    }
    for section in [
        "[Unit]",
        "[Service]",
        "[Install]",
        "RestartPreventExitStatus=2",
    ] {
        assert!(UNIT.contains(section));
    }
}

/// One of the operator's commands on a relay's data: exit code, and the lines of JSON.
fn operator(data: &Path, words: &[&str]) -> (Option<i32>, Vec<serde_json::Value>) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_hushwire-relay"))
        .env_clear()
        .args(words)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.code(), lines.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_lists_shows_and_empties_mailboxes_of_a_running_relay() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    assert_eq!(operator(data, &["status"]).0, Some(1), "no relay runs");
    let relay = Process::start(data);
    let socket = std::fs::metadata(data.join("operator.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    let mut alice = Client::connect(&relay.target, 2).await.unwrap();
    for text in [b"one", b"two"] {
        alice.submit(address_of(1), text).await.unwrap().unwrap();
    }

    let bob = address_of(1).to_string();
    let (code, list) = operator(data, &["mailbox", "list"]);
    assert_eq!((code, list.len()), (Some(0), 1));
    assert_eq!(
        (&list[0]["address"], &list[0]["messages"]),
        (&bob.as_str().into(), &2.into())
    );
    assert_eq!(operator(data, &["status"]).1[0]["stored_messages"], 2);
    assert_eq!(
        operator(data, &["mailbox", "show", &bob]).1[0]["messages"],
        2
    );
    let (code, unknown) = operator(data, &["mailbox", "show", &address_of(9).to_string()]);
    assert!(code == Some(1) && unknown.is_empty());
    assert_eq!(operator(data, &["mailbox", "burn"]).0, Some(2));
    assert_eq!(operator(data, &["mailbox", "show", "hush1x"]).0, Some(2));

    assert_eq!(operator(data, &["mailbox", "rm", &bob]).1[0]["removed"], 2);
    assert_eq!(operator(data, &["mailbox", "list"]), (Some(0), Vec::new()));
    // The answer came after the disk's: nothing that happens to the relay now brings them back.
    relay.kill();
    let relay = Process::start(data);
    assert_eq!(
        operator(data, &["status"]).1[0]["stored_messages"],
        0,
        "the rows are gone, too"
    );
    drop(relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_bans_invites_and_adds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let invited = || Process::spawn(command(data).args(["--registration", "invite"]));
    let relay = invited();
    let (code, made) = operator(data, &["invite", "new", "--uses", "1", "--for", "1h"]);
    assert_eq!(code, Some(0));
    let invite: Invite = made[0]["invite"].as_str().unwrap().parse().unwrap();
    let listed = operator(data, &["invite", "list"]).1;
    assert_eq!(
        (&listed[0]["number"], &listed[0]["uses"]),
        (&0.into(), &1.into())
    );
    assert!(listed[0]["until"].is_u64() && listed[0].get("invite").is_none());

    let mut alice = Client::connect(&relay.target, 1).await.unwrap();
    let number = alice.number();
    let show = Request::Invite { number, invite };
    alice.send(&show).await.unwrap();
    assert_eq!(alice.done(number).await.unwrap(), Ok(()));
    alice.register().await.unwrap();
    drop(alice);
    let bob = address_of(2).to_string();
    assert_eq!(
        operator(data, &["mailbox", "add", &bob]).1[0]["added"],
        true
    );

    let alice = address_of(1).to_string();
    let mut connected = Client::connect(&relay.target, 1).await.unwrap();
    let (_, banned) = operator(data, &["mailbox", "ban", &alice, "--for", "30d"]);
    assert!(banned[0]["barred"] == true && banned[0]["until"].is_u64());
    let reason = connected.wait(|answer| match answer {
        Answer::Notice {
            kind: NoticeKind::TurnedAway,
            count,
            ..
        } => Some(*count),
        _ => None,
    });
    assert_eq!(reason.await.unwrap(), Reason::Barred as u32);
    connected.wait_for_close().await;

    // A crash changes none of it: each was answered when it was durable.
    relay.kill();
    let relay = invited();
    assert_eq!(operator(data, &["mailbox", "bans"]).1[0]["address"], alice);
    fails(
        Client::connect(&relay.target, 1).await,
        "one that is barred",
    );
    assert_eq!(
        operator(data, &["invite", "list"]).1,
        [] as [serde_json::Value; 0]
    );
    let mut bob = Client::connect(&relay.target, 2).await.unwrap();
    bob.register().await.unwrap();
    assert_eq!(operator(data, &["mailbox", "unban", &alice]).0, Some(0));
    assert_eq!(operator(data, &["mailbox", "unban", &alice]).0, Some(1));
    Client::connect(&relay.target, 1).await.unwrap();
    assert_eq!(operator(data, &["invite", "revoke", "7"]).0, Some(1));
}
