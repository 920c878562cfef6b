//! The program itself: one relay has the store, another takes it over.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use hushwire_core::crypto::PublicKey;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use hushwire_relay::key::RelayKey;
use tempfile::TempDir;

use crate::nats::{Nats, PATIENCE, USER};
use crate::process::{self, Process};
use crate::support::{Client, Target, address_of, public_key};

const BOB: u16 = 2;
/// What a relay logs when it has claimed the store.
const HAS_STORE: &str = "the store on the cluster is this relay's";

/// Three relays' folders with one key.
pub(crate) struct Relays {
    folder: TempDir,
    store: String,
}

impl Relays {
    pub(crate) fn of(store: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        RelayKey::load_or_create(&folder.path().join("key")).unwrap();
        Self { folder, store }
    }

    /// What clients pin.
    pub(crate) fn key(&self) -> PublicKey {
        let key = RelayKey::load_or_create(&self.folder.path().join("key")).unwrap();
        public_key(&key.public().to_string())
    }

    /// The program with relay `n`'s folder, on that port, 0 for any.
    pub(crate) fn command(&self, n: usize, port: u16) -> Command {
        self.command_by(&self.store, n, port)
    }

    /// The same, with another way to the store.
    pub(crate) fn command_by(&self, store: &str, n: usize, port: u16) -> Command {
        let folder = self.folder.path();
        let mut command = process::command_at(&folder.join(format!("r{n}")), port);
        command.arg("--key").arg(folder.join("key"));
        command.args(["--store", store, "--log", "warn,hushwire_relay=info"]);
        command.stderr(std::fs::File::create(self.log(n)).unwrap());
        command
    }

    /// The disk of relay `n`, which does not run, is lost.
    pub(crate) fn wipe(&self, n: usize) {
        std::fs::remove_dir_all(self.folder.path().join(format!("r{n}"))).unwrap();
    }

    fn log(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("r{n}.log"))
    }

    /// What relay `n` said since it was started last.
    pub(crate) fn said(&self, n: usize) -> String {
        std::fs::read_to_string(self.log(n)).unwrap_or_default()
    }

    /// Waits until relay `n` says that.
    pub(crate) fn says(&self, n: usize, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said(n).contains(what) {
            assert!(Instant::now() < deadline, "{}", self.said(n));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until relay `n` has the store.
    fn has_store(&self, n: usize) {
        self.says(n, HAS_STORE);
    }

    /// Whether relay `n` has had the store since it was started last.
    pub(crate) fn has_said_store(&self, n: usize) -> bool {
        self.said(n).contains(HAS_STORE)
    }

    /// Asks relay `n` as its operator: whether it worked, and what was said.
    pub(crate) fn tool(&self, n: usize, words: &[&str]) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
        let folder = self.folder.path().join(format!("r{n}"));
        let output = command.args(words).arg("--data").arg(folder).output();
        let output = output.expect("the program runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

/// How the program ended.
pub(crate) fn ended(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the relay does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A client of a relay that may be changing from one role to the other.
pub(crate) async fn connect(target: &Target, seed: u16) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::connect(target, seed).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn submit(target: &Target, envelope: &[u8]) {
    let mut alice = connect(target, 10).await;
    alice
        .submit(address_of(BOB), envelope)
        .await
        .unwrap()
        .unwrap();
}

async fn receives(target: &Target, count: usize) -> Vec<Vec<u8>> {
    let mut bob = connect(target, BOB).await;
    let mut came = Vec::new();
    while came.len() < count {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        came.push(envelope);
    }
    bob.ping().await.unwrap();
    came
}

/// The machine's trusted certificates tell the servers from others; a relay that does not know theirs says so.
#[cfg(all(feature = "websocket", feature = "tls"))]
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_reached_by_tls_by_who_trusts_them() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |name| crate::support::coats::Pair::make(folder.path(), name);
    let (theirs, others) = (pair("theirs"), pair("others"));
    let nats = Nats::start_with_tls(&theirs.cert, &theirs.key);
    let relays = Relays::of(nats.url("mail").replace("nats://", "tls://"));
    let trusting = |n, pair: &crate::support::coats::Pair| {
        let mut command = relays.command(n, 0);
        command.env("SSL_CERT_FILE", &pair.cert);
        command
    };

    let relay = Process::spawn(&mut trusting(0, &theirs));
    connect(&relay.target, BOB).await.register().await.unwrap();
    submit(&relay.target, b"one").await;
    assert_eq!(receives(&relay.target, 1).await, [b"one"]);

    let stranger = trusting(1, &others).spawn().unwrap();
    relays.says(1, "certificate");
    signal(&stranger, "-TERM");
    let (code, said) = (ended(stranger), relays.said(1));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(HAS_STORE), "{said}");
}

/// Servers that ask for a password take who has it in its URL; one without is not let in, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_reached_by_who_knows_their_password() {
    let nats = Nats::start_with_password("pass@word/:");
    let relays = Relays::of(nats.url("mail"));
    let login = format!("nats://{USER}:pass%40word%2F:@");
    let knowing = nats.url("mail").replace("nats://", &login);
    let relay = Process::spawn(&mut relays.command_by(&knowing, 0, 0));
    connect(&relay.target, BOB).await.register().await.unwrap();
    submit(&relay.target, b"one").await;
    assert_eq!(receives(&relay.target, 1).await, [b"one"]);
    assert!(!relays.said(0).contains("pass"), "{}", relays.said(0));

    let stranger = relays.command(1, 0).spawn().unwrap();
    relays.says(1, "authorization violation");
    signal(&stranger, "-TERM");
    let (code, said) = (ended(stranger), relays.said(1));
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(HAS_STORE), "{said}");
}

/// Killed, stopped in order, and hung: in each case the other one goes on where the first ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_takes_over_from_another() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    let first = Process::spawn(&mut relays.command(0, 0));
    connect(&first.target, BOB).await.register().await.unwrap();
    submit(&first.target, b"one").await;

    // Killed. The other one served clients out of its store, and does so out of its own now.
    let port = free_port();
    let second = Process::spawn(&mut relays.command(1, port));
    assert_eq!(second.target.address.port(), port);
    assert_eq!(receives(&second.target, 1).await, [b"one"]);
    submit(&second.target, b"two").await;
    assert!(!relays.has_said_store(1));
    let killed = Instant::now();
    first.kill();
    relays.has_store(1);
    println!("taken over in {:?} after a kill", killed.elapsed());
    assert_eq!(receives(&second.target, 1).await, [b"two"]);
    submit(&second.target, b"three").await;

    // Stopped in order.
    let third = Process::spawn(&mut relays.command(2, 0));
    let stopped = Instant::now();
    assert!(second.terminate().0.success());
    relays.has_store(2);
    println!("taken over in {:?} after a stop", stopped.elapsed());
    assert_eq!(receives(&third.target, 1).await, [b"three"]);
    submit(&third.target, b"four").await;

    // Hung, and awake again after the take-over: it finds that out by itself, and stops.
    let fourth = Process::spawn(&mut relays.command(0, 0));
    let third = third.into_child();
    let hung = Instant::now();
    signal(&third, "-STOP");
    relays.has_store(0);
    println!("taken over in {:?} after a hang", hung.elapsed());
    signal(&third, "-CONT");
    let (code, said) = (ended(third), relays.said(2));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("another relay has taken the store over"),
        "{said}"
    );
    assert_eq!(receives(&fourth.target, 1).await, [b"four"]);
    assert!(fourth.terminate().0.success());
}

/// R4 on a cluster: the disk of the relay that has the store takes nothing more. Nothing is accepted that is
/// not on it, what the cluster has is not served twice, and with room everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_relay_whose_own_disk_takes_nothing_accepts_nothing_and_recovers() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    let first = Process::spawn(&mut process::on_a_limited_disk(&relays.command(0, 0)));
    connect(&first.target, BOB).await.register().await.unwrap();
    let mut alice = connect(&first.target, 10).await;
    let mut accepted = Vec::new();
    for round in 0..4u8 {
        let envelope = vec![round; 500];
        let said = alice.submit(address_of(BOB), &envelope).await.unwrap();
        assert_eq!(said, Ok(()), "there is room again: without a restart");
        accepted.push(envelope);
        if round == 3 {
            break;
        }
        first.limit_files("0");
        for n in 0..3 {
            let refused = vec![100 + 10 * round + n; 500];
            let said = alice.submit(address_of(BOB), &refused).await.unwrap();
            assert_eq!(said, Err(Reason::StoreTrouble));
        }
        let mut bob = connect(&first.target, BOB).await;
        assert_eq!(bob.delivery().await.unwrap().1, accepted[0]);
        first.limit_files("unlimited");
    }
    // Its own copy has all of it.
    let mut bob = connect(&first.target, BOB).await;
    for envelope in &accepted {
        assert_eq!(bob.delivery().await.unwrap().1, *envelope);
    }

    // Its operator stops it, the disk being as it is: another one takes over.
    first.limit_files("0");
    let second = Process::spawn(&mut relays.command(1, 0));
    let (status, _) = first.terminate();
    relays.has_store(1);
    println!("stopped with {status} on a disk that takes nothing");
    let bob = connect(&second.target, BOB).await;
    assert_eq!(
        bob.welcome.waiting as usize,
        accepted.len(),
        "and nothing refused"
    );
    drop(bob);
    assert_eq!(receives(&second.target, accepted.len()).await, accepted);
    assert!(second.terminate().0.success());
}

/// A back-up of the relay that has the store, put back with the commands of OPERATING.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_back_up_is_restored_into_the_cluster() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    let first = Process::spawn(&mut relays.command(0, 0));
    connect(&first.target, BOB).await.register().await.unwrap();
    submit(&first.target, b"one").await;
    let back_up = relays.folder.path().join("back-up");
    let back_up = back_up.to_str().unwrap();
    let (worked, said) = relays.tool(0, &["backup", "--to", back_up]);
    assert!(worked, "{said}");
    submit(&first.target, b"two").await;
    let second = Process::spawn(&mut relays.command(1, 0));

    let words = [
        "restore",
        "--force",
        "--from",
        back_up,
        "--store",
        &relays.store,
    ];
    // On the folder of a relay that never ran: the cluster itself says that another one does.
    let (worked, said) = relays.tool(2, &words);
    assert!(!worked && said.contains("stop every relay"), "{said}");
    assert!(!relays.folder.path().join("r2/store.redb").exists());
    assert!(first.terminate().0.success());
    // So its copy has all that the store had.
    relays.has_store(1);
    assert!(second.terminate().0.success());

    let (worked, said) = relays.tool(0, &words);
    assert!(worked && said.contains("the cluster has it"), "{said}");
    // The relay whose copy is of before begins.
    let second = Process::spawn(&mut relays.command(1, 0));
    assert_eq!(receives(&second.target, 1).await, [b"one"]);
    relays.says(1, "it was set aside");
    let first = Process::spawn(&mut relays.command(0, 0));
    submit(&first.target, b"three").await;
    assert_eq!(receives(&second.target, 1).await, [b"three"]);
    assert!(first.terminate().0.success() && second.terminate().0.success());
}

/// Clients pin one key: a relay with another one has no business with the store.
#[test]
fn a_relay_with_another_key_is_refused() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    assert!(
        Process::spawn(&mut relays.command(0, 0))
            .terminate()
            .0
            .success()
    );
    let others = Relays::of(nats.url("mail"));
    let code = ended(others.command(0, 0).spawn().unwrap());
    let said = others.said(0);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("same key file"), "{said}");
}

/// What is no store's URL is said before anything starts.
#[test]
fn a_wrong_url_is_refused() {
    let relays = Relays::of("nats://127.0.0.1:4222".into());
    let code = ended(relays.command(0, 0).spawn().unwrap());
    let said = relays.said(0);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--store") && said.contains("/NAME"), "{said}");
    assert!(!relays.folder.path().join("r0").exists());
}
