//! People who come to the relay's program by different ways: TCP, TLS, WebSocket, both.
#![cfg(all(feature = "websocket", feature = "tls"))]

mod common;
mod program;

use std::path::{Path, PathBuf};

use program::{
    Program, Running,
    relay::{RelayProgram, become_relay},
    text,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Not a test: the relay of the tests below, as a process of its own.
#[test]
#[ignore = "the other tests start it"]
fn relay_program() {
    become_relay();
}

/// A certification authority of the relay's operator.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate's file.
    fn file(&self, folder: &Path, name: &str) -> String {
        let path = folder.join(name);
        std::fs::write(&path, self.0.pem()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A certificate for a host, and its key.
    fn certify(&self, folder: &Path, host: &str, expired: bool) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let paths = (folder.join("tls.pem"), folder.join("tls.key"));
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }
}

/// A relay with every listener, under a certificate for `host`.
fn relay(folder: &Path, authority: &Authority, host: &str, expired: bool) -> RelayProgram {
    let (cert, key) = authority.certify(folder, host, expired);
    let any = "127.0.0.1:0";
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let listeners = ["--listen", any, "--listen-ws", any, "--listen-tls", any];
    let more = [&listeners[..], &["--tls-cert", cert, "--tls-key", key]].concat();
    RelayProgram::start(&folder.join("data"), &more, 4)
}

fn member(url: &str, authorities: &str) -> (Program, String) {
    let mut program = Program::unmade();
    let variable = ("HUSHWIRE_TLS_CA", authorities.to_owned());
    program.environment.push(variable);
    let card = text(&program.json(&["init", "--relay", url]), "card");
    (program, card)
}

fn hears(listener: &mut Running, body: &str) {
    listener.line(|line| line["body"] == body || line["text"] == body);
}

#[test]
fn people_who_come_by_different_ways_talk_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let relay = relay(folder.path(), &authority, "127.0.0.1", false);
    let ca = authority.file(folder.path(), "ca.pem");
    let (alice, at_alice) = member(&relay.url("hush://"), &ca);
    let mut listening_alice = alice.start(&["listen"]);
    for (number, scheme) in ["hush+wss://", "hush+tls://", "hush+ws://"]
        .iter()
        .enumerate()
    {
        let (bob, at_bob) = member(&relay.url(scheme), &ca);
        assert!(at_bob.starts_with(scheme), "the card has the way: {at_bob}");
        let name = format!("bob{number}");
        // Alice's own way stays hers: the card's key is that of the relay that she is at.
        alice.json(&["contacts", "add", &name, &at_bob]);
        bob.json(&["contacts", "add", "alice", &at_alice]);
        let (question, answer) = (format!("by {scheme}?"), format!("yes, {scheme}"));
        let mut listening_bob = bob.start(&["listen"]);
        alice.json(&["send", &name, &question, "--wait"]);
        hears(&mut listening_bob, &question);
        bob.json(&["send", "alice", &answer, "--wait"]);
        hears(&mut listening_alice, &answer);
        let status = bob.json(&["status"]);
        let relays = status["relays"].as_array().unwrap();
        assert_eq!(relays.len(), 1, "one relay, one link: {status}");
    }
}

/// Each case waits for its patience, so all of them wait together.
#[test]
fn a_certificate_that_does_not_hold_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ca = authority.file(folder.path(), "ca.pem");
    let other = stranger.file(folder.path(), "other.pem");
    let start = |name: &str, host, expired| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        relay(&folder, &authority, host, expired)
    };
    let good = start("good", "127.0.0.1", false);
    let misnamed = start("misnamed", "relay.example", false);
    let expired = start("expired", "127.0.0.1", true);
    let at = |relay: &RelayProgram, scheme: &str| relay.url(scheme);
    // TLS or a WebSocket at a port that has neither is no matter of certificates.
    let plain = |scheme| good.url("hush://").replace("hush://", scheme);
    let cases = [
        (at(&good, "hush+tls://"), "", 7, "--tls-ca FILE"),
        (at(&good, "hush+wss://"), &other, 7, "--tls-ca FILE"),
        (at(&misnamed, "hush+tls://"), &ca, 7, "for another host"),
        (at(&expired, "hush+wss://"), &ca, 7, "has expired"),
        (plain("hush+tls://"), &ca, 6, "cannot be reached"),
        (plain("hush+ws://"), "", 6, "cannot be reached"),
    ];
    std::thread::scope(|scope| {
        for (url, ca, expected, word) in &cases {
            scope.spawn(move || {
                let mut program = Program::unmade();
                if !ca.is_empty() {
                    let variable = ("HUSHWIRE_TLS_CA", (*ca).to_owned());
                    program.environment.push(variable);
                }
                let (code, said) = program.fail(&["init", "--relay", url]);
                assert_eq!(code, *expected, "{said}");
                assert!(said.contains(word), "{url}: {said}");
            });
        }
    });
}

#[test]
fn a_vault_keeps_what_tls_ca_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let relay = relay(folder.path(), &authority, "127.0.0.1", false);
    let ca = authority.file(folder.path(), "ca.pem");
    let program = Program::unmade();
    let url = relay.url("hush+wss://");
    let card = text(
        &program.json(&["init", "--relay", &url, "--tls-ca", &ca]),
        "card",
    );
    // The file is needed no more.
    std::fs::remove_file(&ca).unwrap();
    let (bob, _) = member(
        &relay.url("hush://"),
        &authority.file(folder.path(), "again.pem"),
    );
    bob.json(&["contacts", "add", "alice", &card]);
    bob.json(&["send", "alice", "come in"]);
    let inbox = program.json(&["inbox"]);
    assert_eq!(inbox["text"], "come in");
    assert_eq!(program.json(&["status"])["relays"][0]["up"], true);

    // Another file takes its place, and the web's authorities do.
    let other = Authority::new().file(folder.path(), "other.pem");
    let ca = authority.file(folder.path(), "ca.pem");
    for file in [&other, &ca] {
        program.json(&["status", "--offline", "--tls-ca", file]);
    }
    assert_eq!(program.json(&["status"])["relays"][0]["up"], true);
    program.json(&["status", "--offline", "--tls-ca", "web"]);
    assert_eq!(program.fail(&["status"]).0, 7, "no authority of the web");
}

#[test]
fn the_pinned_key_is_what_counts_inside_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let relay = relay(folder.path(), &authority, "127.0.0.1", false);
    let ca = authority.file(folder.path(), "ca.pem");
    let url = relay.url("hush+wss://");
    let (place, _) = url.split_once('#').unwrap();
    // Another valid point: the base point of the curve.
    let another = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    let mut program = Program::unmade();
    program.environment.push(("HUSHWIRE_TLS_CA", ca));
    let (code, said) = program.fail(&["init", "--relay", &format!("{place}#{another}")]);
    assert!(code == 7 && said.contains("does not prove"), "{said}");
}

#[test]
fn a_file_without_certificates_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "nothing").unwrap();
    let program = Program::unmade();
    let url =
        "hush://127.0.0.1:9/#036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    for (file, word) in [
        (path.to_str().unwrap(), "holds no certificate"),
        ("/none", "--tls-ca"),
    ] {
        let (code, said) = program.fail(&["init", "--relay", url, "--tls-ca", file]);
        assert!(code == 2 && said.contains(word), "{code}: {said}");
        let (code, _) = program.fail(&["status"]);
        assert_eq!(code, 4, "no vault was made");
    }
}
