//! Alert rules, metrics and unit, before the programs that will read them: Prometheus's promtool and
//! systemd's systemd-analyze. Without these the tests fail: `apt-get install prometheus systemd`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::operate::{get, with_metrics};
use crate::support::{Client, address_of};

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib")
        .join(name)
}

/// Runs a checker, `input` on its standard input; what it said, and whether it was content.
fn checked(program: &str, package: &str, words: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(words).env("NO_COLOR", "1");
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut checker = command
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}: apt-get install {package}"));
    let mut stdin = checker.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = checker.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[track_caller]
fn promtool(words: &[&str], input: &str) {
    let (content, said) = checked("promtool", "prometheus", words, input);
    assert!(content, "promtool {words:?}: {said}");
}

/// Each alert fires for the relay that meets its condition, and for no other.
#[test]
fn every_alert_fires_on_its_condition_and_is_silent_without() {
    let (rules, tests) = (
        contrib("prometheus-alerts.yml"),
        contrib("prometheus-alerts-test.yml"),
    );
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    promtool(&["test", "rules", tests.to_str().unwrap()], "");
    let tests = std::fs::read_to_string(tests).unwrap();
    let rules = std::fs::read_to_string(rules).unwrap();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        // For one relay, or for all relays of one store.
        let fires = ["instance", "job"]
            .map(|whose| format!("{{alertname=\"{name}\", {whose}=\"bad\"}}', value: 1"));
        let seen = fires.iter().any(|fires| tests.contains(fires));
        assert!(seen, "no test sees {name} fire");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_nothing_to_say_against_a_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, metrics) = with_metrics(folder.path());
    let mut client = Client::connect(&relay.target, 1).await.unwrap();
    client.register().await.unwrap();
    client.submit(address_of(1), b"hi").await.unwrap().unwrap();
    let scrape = get(metrics, "/metrics").await;
    let (_, body) = scrape.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("hushwire_relay_commit_seconds_bucket"));
    promtool(&["check", "metrics"], body);
}

/// The exposure of 1.1 that OPERATING.md names is systemd 252's; a newer one may weigh otherwise.
#[cfg(target_os = "linux")]
#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("hushwire-relay.service");
    // systemd wants the program to be there.
    let here = env!("CARGO_BIN_EXE_hushwire-relay");
    let text = std::fs::read_to_string(contrib("hushwire-relay.service")).unwrap();
    let text = text.replace("/usr/local/bin/hushwire-relay", here);
    assert!(text.contains(here));
    std::fs::write(&unit, text).unwrap();
    let unit = unit.to_str().unwrap();
    let analyze = |words: &[&str]| checked("systemd-analyze", "systemd", words, "");

    let (content, said) = analyze(&["verify", "--man=no", unit]);
    assert!(content && said.trim().is_empty(), "{said}");
    let least = ["security", "--offline=true", "--no-pager", "--threshold=15"];
    let (content, said) = analyze(&[&least[..], &[unit]].concat());
    assert!(content, "{said}");
}
