//! Three relays of one store serve clients at once; one has the store.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hushwire_core::link::{FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN};
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{Answer, NoticeKind};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::nats::{Nats, PATIENCE};
use crate::process::Process;
use crate::program::{Relays, connect, ended, free_port, signal};
use crate::support::{Client, Target, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;
const CAROL: u16 = 3;

/// The first one has the store. On a failure they tell what they logged.
struct Three {
    relays: Relays,
    running: Vec<Process>,
    _nats: Nats,
}

impl Three {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(settings: &[&str]) -> Self {
        let nats = Nats::start();
        let relays = Relays::of(nats.url("mail"));
        let running = (0..3).map(|n| Process::spawn(relays.command(n, 0).args(settings)));
        Self {
            running: running.collect(),
            relays,
            _nats: nats,
        }
    }

    fn target(&self, n: usize) -> &Target {
        &self.running[n].target
    }

    /// Waits until the one that has the store says that of itself.
    fn says_status(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (worked, said) = self.relays.tool(0, &["status"]);
            if worked && said.contains(what) {
                return;
            }
            assert!(Instant::now() < deadline, "{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    async fn connect(&self, n: usize, seed: u16) -> Client {
        connect(self.target(n), seed).await
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (0..3).for_each(|n| eprintln!("relay {n}:\n{}", self.relays.said(n)));
        }
    }
}

async fn take(client: &mut Client) -> Vec<u8> {
    let (_, envelope) = client.delivery().await.unwrap();
    let ack = Request::Ack(EnvelopeId::of(&envelope));
    client.send(&ack).await.unwrap();
    envelope
}

/// Whoever is connected where: messages arrive, online and later.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_all_relays_meet() {
    let three = Three::start();
    let mut alice = three.connect(0, ALICE).await;
    let mut bob = three.connect(1, BOB).await;
    let mut carol = three.connect(2, CAROL).await;
    for client in [&mut alice, &mut bob, &mut carol] {
        client.register().await.unwrap();
    }
    for round in 0..50u8 {
        let (to_bob, to_carol, to_alice) = ([b'b', round], [b'c', round], [b'a', round]);
        alice
            .send(&Request::Submit {
                to: address_of(BOB),
                envelope: &to_bob,
            })
            .await
            .unwrap();
        assert_eq!(take(&mut bob).await, to_bob);
        let accepted = alice.submitted(EnvelopeId::of(&to_bob)).await.unwrap();
        assert_eq!(accepted, Ok(()));
        bob.send(&Request::Submit {
            to: address_of(CAROL),
            envelope: &to_carol,
        })
        .await
        .unwrap();
        assert_eq!(take(&mut carol).await, to_carol);
        carol
            .send(&Request::Submit {
                to: address_of(ALICE),
                envelope: &to_alice,
            })
            .await
            .unwrap();
        assert_eq!(take(&mut alice).await, to_alice);
    }

    // For somebody who is away, and comes back at another relay.
    drop(bob);
    assert_eq!(
        alice.submit(address_of(BOB), b"later").await.unwrap(),
        Ok(())
    );
    let mut bob = three.connect(2, BOB).await;
    assert_eq!(take(&mut bob).await, b"later");

    // A large one, and many at once: records and items do not keep to each other's borders.
    let large: Vec<_> = (0..40u8).map(|n| vec![n; 16_000]).collect();
    for envelope in &large {
        bob.send(&Request::Submit {
            to: address_of(ALICE),
            envelope,
        })
        .await
        .unwrap();
        assert_eq!(&take(&mut alice).await, envelope);
    }

    // Nobody says anything for longer than a trunk may be silent.
    tokio::time::sleep(Duration::from_secs(6)).await;
    bob.ping().await.unwrap();
    carol.ping().await.unwrap();
}

/// The newer connection of an identity wins, at whichever relay it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_taken_over_across_relays() {
    let three = Three::start();
    let mut before = three.connect(1, BOB).await;
    before.register().await.unwrap();
    for n in [2, 0, 1, 2] {
        let mut after = three.connect(n, BOB).await;
        let superseded = before.wait(|answer| match answer {
            Answer::Notice { kind, .. } => Some(*kind),
            _ => None,
        });
        assert_eq!(superseded.await.unwrap(), NoticeKind::Superseded);
        before.wait_for_close().await;
        after.ping().await.unwrap();
        before = after;
    }
}

/// Each one-time prekey once, however many ask at however many relays.
#[tokio::test(flavor = "multi_thread")]
async fn prekeys_are_handed_out_once_across_relays() {
    const KEYS: u32 = 30;
    let three = Three::start();
    let mut bob = three.connect(1, BOB).await;
    bob.register().await.unwrap();
    bob.upload(KEYS).await.unwrap();
    let fetching: Vec<_> = (0..KEYS as u16 + 6)
        .map(|n| {
            let target = *three.target(usize::from(n) % 3);
            tokio::spawn(async move {
                let mut client = connect(&target, 100 + n).await;
                client.fetch(address_of(BOB)).await.unwrap().unwrap()
            })
        })
        .collect();
    let mut handed_out = HashSet::new();
    let mut without = 0;
    for fetched in fetching {
        match fetched.await.unwrap() {
            Some(key) => assert!(handed_out.insert(key), "{key} was handed out twice"),
            None => without += 1,
        }
    }
    assert_eq!((handed_out.len(), without), (KEYS as usize, 6));
}

/// What clients of one relay do wrong is their own trouble; and an operator is told where to ask.
#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_client_is_closed_and_no_other() {
    let three = Three::start();
    let mut alice = three.connect(1, ALICE).await;
    let mut bob = three.connect(1, BOB).await;
    bob.register().await.unwrap();
    alice.send_raw(&[0, 2, 0xee, 0xee]).await.unwrap();
    alice.wait_for_close().await;
    // Not registered: what the owner's logic refuses comes back as a refusal.
    let refused = bob.submit(address_of(CAROL), b"to nobody").await.unwrap();
    assert_eq!(refused, Err(Reason::NotAccepted));

    let connections = |count| format!("\"connections\":{count}");
    three.says_status(&connections(1));
    drop(bob);
    three.says_status(&connections(0));
    let (worked, said) = three.relays.tool(1, &["status"]);
    assert!(
        !worked && said.contains("has the store: ask there"),
        "{said}"
    );
}

/// A reader that never reads, behind a relay that passes it on: what waits for it there is bounded, and
/// when the owner of the store is gone it is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_is_let_go_wherever_it_is() {
    // Neither a slow write nor a stop ends it in the time of a test.
    let settings = "--outbox-frames 16 --window 1000 --window-bytes 4294967295 --write-timeout 1h \
                    --stop-timeout 1h --handshake-timeout 1h --mailbox-messages 2000 --mailbox-bytes 67108864 \
                    --sender-share 1 --submit-burst 10000";
    let settings: Vec<_> = settings.split_whitespace().collect();
    let mut three = Three::start_with(&settings);
    three.connect(1, BOB).await.register().await.unwrap();
    let link = crate::support::link_limits(1_000);
    let bob = Client::connect_with(three.target(1), BOB, link).await;
    let bob = bob.unwrap();
    let mut alice = three.connect(2, ALICE).await;
    three.says_status("\"connections\":2");
    // More than the sockets' buffers hold.
    for n in 0..1_500u16 {
        let envelope = [n.to_be_bytes().as_slice(), &[0; 16_000]].concat();
        let accepted = alice.submit(address_of(BOB), &envelope).await.unwrap();
        accepted.unwrap();
    }
    three.says_status("\"connections\":1");
    three.says_status("\"stored_messages\":1500");
    // Nor is a stranger waited for, whom nobody tells anything.
    let _stranger = TcpStream::connect(three.target(1).address).await.unwrap();

    let mut carol = three.connect(1, CAROL).await;
    carol.ping().await.unwrap();
    three.running.remove(0).kill();
    carol.wait_for_close().await;
    // Where she was she is served again.
    let mut carol = three.connect(0, CAROL).await;
    carol.ping().await.unwrap();
    drop(bob);
}

/// A certificate's renewal that went wrong is said at SIGHUP. What a relay does later, it does with the one before.
#[cfg(all(feature = "websocket", feature = "tls"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_renewal_of_the_certificate_ends_no_relay_when_its_role_changes() {
    let folder = tempfile::tempdir().unwrap();
    let pair = crate::support::coats::Pair::make(folder.path(), "relays");
    let (cert, key) = (pair.cert.to_str().unwrap(), pair.key.to_str().unwrap());
    let listen = ["--listen-tls", "127.0.0.1:0"];
    let files = ["--tls-cert", cert, "--tls-key", key];
    let mut three = Three::start_with(&[listen.as_slice(), &files].concat());
    for n in 0..3 {
        three.connect(n, BOB).await.ping().await.unwrap();
    }
    std::fs::write(&pair.cert, "no certificate").unwrap();
    three.running.remove(0).kill();
    // One has the store now, and the other one passes its clients on.
    for n in 0..2 {
        let mut bob = three.connect(n, BOB).await;
        bob.register().await.unwrap();
    }
}

/// Where who has the store `mail` takes calls, as far as anybody who asks is told.
async fn is_said_to_serve(nats: &Nats) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let client = nats.client().await;
    let mut questions = client.subscribe("hushwire.mail.owner").await.unwrap();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let said = format!("served 1 at {at}");
            let asks = question.reply.unwrap();
            client.publish(asks, said.into()).await.unwrap();
        }
    });
    listener
}

/// Who has the store and takes no more relays closes a trunk as soon as it is there: it is called a few times a
/// second, and not as often as that goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_closes_at_once_is_dialled_with_pauses() {
    const FOR: Duration = Duration::from_secs(3);
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    // With the same key file it answers calls as the one that has this store would.
    let owner = format!("127.0.0.1:{}", free_port());
    let mut other = relays.command_by(&nats.url("other"), 1, 0);
    let _other = Process::spawn(other.args(["--trunk", &owner]));
    let listener = is_said_to_serve(&nats).await;

    let child = relays.command(0, 0).spawn().unwrap();
    let (first, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let (began, mut calls, mut call) = (Instant::now(), 1, Some(first));
    while let Some(mut near) = call {
        let mut far = TcpStream::connect(&owner).await.unwrap();
        pass(&mut near, &mut far, FLIGHT_1_LEN).await;
        pass(&mut far, &mut near, FLIGHT_2_LEN).await;
        pass(&mut near, &mut far, FLIGHT_3_LEN).await;
        drop(near);
        let rest = FOR.saturating_sub(began.elapsed());
        let next = timeout(rest, listener.accept()).await.ok();
        call = next.map(|accepted| accepted.unwrap().0);
        calls += u32::from(call.is_some());
    }
    signal(&child, "-TERM");
    let ends = tokio::task::spawn_blocking(move || ended(child));
    assert_eq!(ends.await.unwrap(), Some(0), "{}", relays.said(0));
    println!("{calls} calls in {FOR:?}");
    // Every 200 ms.
    assert!((3..=16).contains(&calls), "{calls}: {}", relays.said(0));
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, len: usize) {
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes).await.unwrap();
    to.write_all(&bytes).await.unwrap();
}

/// Who has the store takes calls and says nothing, as a machine that hangs: the stop of whoever calls it is heard
/// all the same, and SIGHUP, which renews certificates, ends nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_silent_relay_is_called() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    let silent = is_said_to_serve(&nats).await;
    let child = relays.command(0, 0).spawn().unwrap();
    let called = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    signal(&child, "-HUP");
    let told = Instant::now();
    signal(&child, "-TERM");
    let ends = tokio::task::spawn_blocking(move || ended(child));
    assert_eq!(ends.await.unwrap(), Some(0), "{}", relays.said(0));
    // It would call for five seconds.
    assert!(
        told.elapsed() < Duration::from_secs(3),
        "{:?}",
        told.elapsed()
    );
    drop(called);
}

/// Clients are told when the relay that they are at stops, and when the one that has the store does.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_when_a_relay_stops() {
    let mut three = Three::start();
    let mut at_front = three.connect(1, ALICE).await;
    let mut elsewhere = three.connect(2, BOB).await;
    let told = |answer: &Answer<'_>| match answer {
        Answer::Notice { kind, .. } => Some(*kind),
        _ => None,
    };
    let (status, _) = three.running.remove(1).terminate();
    assert!(status.success());
    assert_eq!(at_front.wait(told).await.unwrap(), NoticeKind::Stopping);
    at_front.wait_for_close().await;
    elsewhere.ping().await.unwrap();

    let (status, _) = three.running.remove(0).terminate();
    assert!(status.success());
    assert_eq!(elsewhere.wait(told).await.unwrap(), NoticeKind::Stopping);
    elsewhere.wait_for_close().await;
    // The last one has the store now.
    let mut bob = three.connect(0, BOB).await;
    bob.register().await.unwrap();
    assert!(three.relays.has_said_store(2));
}

/// Whoever has the relay's URL can call a trunk, and gets nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing_at_a_trunk() {
    let nats = Nats::start();
    let relays = Relays::of(nats.url("mail"));
    let port = free_port();
    let mut command = relays.command(0, 0);
    command.args(["--trunk", &format!("127.0.0.1:{port}")]);
    let owner = Process::spawn(&mut command);
    let trunk = Target {
        address: ([127, 0, 0, 1], port).into(),
        key: owner.target.key,
    };
    for seed in 0..3 {
        let refused = Client::connect(&trunk, seed).await;
        assert!(refused.is_err_and(|error| !error.to_string().contains("refused")));
    }
    let front = Process::spawn(&mut relays.command(1, 0));
    connect(&front.target, BOB).await.register().await.unwrap();

    // A relay with another key file is a stranger too.
    let others = Relays::of(nats.url("mail"));
    let mut child = others.command(2, 0).spawn().unwrap();
    others.says(2, "cannot be called");
    child.kill().unwrap();
    child.wait().unwrap();
    connect(&front.target, BOB).await.ping().await.unwrap();
}
