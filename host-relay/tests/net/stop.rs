//! An orderly stop: everyone is told, and nothing is left unanswered.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{Answer, NoticeKind};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use hushwire_relay::RunError;
use hushwire_relay::limits::Limits;
use hushwire_relay::store::{Embedded, Key, Store, StoreError, Table, Walked, Write};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::relay::Relay;
use crate::support::{Client, address_of};

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_stop_under_load_tells_everyone_and_keeps_what_it_accepted() {
    let relay = Relay::start().await;
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    bob.register().await.unwrap();
    let mut clients = Vec::new();
    for seed in 10..18 {
        clients.push(Client::connect(&relay.target, seed).await.unwrap());
    }

    // Each has submits under way when the stop comes, and sends on until it is closed.
    let mut tasks = Vec::new();
    for (seed, mut client) in (10u16..).zip(clients) {
        tasks.push(tokio::spawn(async move {
            let mut accepted = Vec::new();
            let mut told = false;
            for n in 0..2_000u16 {
                let envelope = [seed.to_be_bytes(), n.to_be_bytes()].concat();
                let submit = Request::Submit {
                    to: address_of(1),
                    envelope: &envelope,
                };
                if client.send(&submit).await.is_err() {
                    break;
                }
                let of = EnvelopeId::of(&envelope);
                let answer = client
                    .wait(|answer| match answer {
                        Answer::Notice {
                            kind: NoticeKind::Stopping,
                            ..
                        } => {
                            told = true;
                            None
                        }
                        Answer::Accepted(id) if *id == of => Some(Ok(())),
                        Answer::Rejected { id, reason, .. } if *id == of => Some(Err(*reason)),
                        _ => None,
                    })
                    .await;
                match answer {
                    Ok(Ok(())) => accepted.push(envelope),
                    Ok(Err(Reason::ShareFull | Reason::MailboxFull | Reason::RateLimited)) => {}
                    Ok(Err(Reason::Stopping)) => told = true,
                    Ok(Err(reason)) => panic!("{reason}"),
                    Err(_) => break,
                }
            }
            client.wait_for_close().await;
            (accepted, told)
        }));
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    let folder = relay.stop().await;

    let mut expected = std::collections::HashSet::new();
    for task in tasks {
        let (accepted, told) = task.await.unwrap();
        assert!(told, "a client was not told");
        expected.extend(accepted);
    }
    assert!(!expected.is_empty());

    let relay = Relay::start_in(folder, Default::default()).await;
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    for _ in 0..bob.welcome.waiting {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        expected.remove(&envelope);
    }
    assert!(expected.is_empty(), "accepted and lost: {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_are_told_and_closed() {
    let relay = Relay::start().await;
    let mut client = Client::connect(&relay.target, 1).await.unwrap();
    let told = async {
        let told = client
            .wait(|answer| match answer {
                Answer::Notice { kind, .. } => Some(*kind),
                _ => None,
            })
            .await;
        client.wait_for_close().await;
        told
    };
    let (told, _) = tokio::join!(told, relay.stop());
    assert_eq!(told.unwrap(), NoticeKind::Stopping);
}

/// What a stop may take is its setting and half a second for the store: on a clock that only runs where
/// everybody waits, so that a busy machine makes no difference.
const AT_MOST: Duration = Duration::from_millis(4_500 + 50);

/// Nothing of a stranger is under way: it is not waited for.
#[tokio::test]
async fn r6_a_silent_stranger_holds_no_stop() {
    let limits = Limits {
        handshake_timeout: Duration::from_secs(3_600),
        ..Limits::default()
    };
    let relay = Relay::start_with(limits).await;
    let mut silent = TcpStream::connect(relay.target.address).await.unwrap();
    // The relay has taken the connection: it serves the next one.
    drop(Client::connect(&relay.target, 1).await.unwrap());

    tokio::time::pause();
    let began = Instant::now();
    relay.stop().await;
    let took = began.elapsed();
    assert!(took <= Duration::from_millis(50), "{took:?}");
    tokio::time::resume();
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0, "closed");
}

/// A disk that never answers: the relay ends all the same, and says nothing of what it has not stored.
#[tokio::test]
async fn r6_a_disk_that_hangs_holds_a_stop_no_longer_than_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Hanging::on(&folder));
    let relay = Relay::start_on(folder, Limits::default(), disk.clone()).await;
    let mut bob = Client::connect(&relay.target, 2).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    let mut alice = Client::connect(&relay.target, 1).await.unwrap();
    disk.hangs.store(true, Ordering::SeqCst);
    let submit = Request::Submit {
        to: address_of(2),
        envelope: b"on its way",
    };
    alice.send(&submit).await.unwrap();
    while !disk.is_awaited.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    tokio::time::pause();
    let began = Instant::now();
    let mut stop = std::pin::pin!(relay.stop());
    // Somebody works for ever, so the clock does not run by itself.
    while began.elapsed() < AT_MOST {
        let step = tokio::time::sleep(Duration::from_millis(10));
        tokio::select! {
            biased;
            _ = &mut stop => break,
            () = step => {}
            () = tokio::time::advance(Duration::from_millis(10)) => {}
        }
    }
    let took = began.elapsed();
    assert!(took < AT_MOST, "{took:?}");
    tokio::time::resume();
    let said = alice.submitted(EnvelopeId::of(b"on its way")).await;
    assert!(said.is_err(), "{said:?}");
    // The test's own runtime waits for the thread.
    disk.hangs.store(false, Ordering::SeqCst);
}

/// A store with much in it is read for a while: a stop is heard meanwhile, and the store let go by its end.
#[tokio::test(flavor = "multi_thread")]
async fn r6_a_stop_is_heard_while_the_store_is_read() {
    let mut folder = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        folder = Relay::start_in(folder, Limits::default())
            .await
            .stop()
            .await;
    }
    let disk = Arc::new(Hanging::on(&folder));
    disk.hangs.store(true, Ordering::SeqCst);
    disk.walks_hang.store(true, Ordering::SeqCst);
    let limits = Limits {
        stop_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let relay = Relay::start_on(folder, limits, disk.clone()).await;
    relay.stop().await;
    // The test's own runtime waits for the thread.
    disk.hangs.store(false, Ordering::SeqCst);
}

/// Without the disk's thread nothing is ever accepted again: the relay says so and ends, and whatever
/// started it starts it anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_disk_s_thread_died_ends() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Hanging::on(&folder));
    let relay = Relay::start_on(folder, Limits::default(), disk.clone()).await;
    let mut alice = Client::connect(&relay.target, 1).await.unwrap();
    disk.dies.store(true, Ordering::SeqCst);
    let _ = alice.register().await;
    assert!(matches!(relay.ended().await, Err(RunError::Panicked)));
}

/// A store whose commits and walks do not return while it hangs, and panic when it is to die.
struct Hanging {
    store: Embedded,
    hangs: AtomicBool,
    /// Its walks hang, too.
    walks_hang: AtomicBool,
    /// Somebody waits for it.
    is_awaited: AtomicBool,
    dies: AtomicBool,
}

impl Hanging {
    fn on(folder: &TempDir) -> Self {
        Self {
            store: Embedded::open(folder.path(), 1 << 20).unwrap(),
            hangs: AtomicBool::new(false),
            walks_hang: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
            dies: AtomicBool::new(false),
        }
    }

    fn wait(&self) {
        while self.hangs.load(Ordering::SeqCst) {
            self.is_awaited.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Store for Hanging {
    fn epoch(&self) -> u64 {
        self.store.epoch()
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError> {
        if self.walks_hang.load(Ordering::SeqCst) {
            self.wait();
        }
        self.store.walk(table, from, visit)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.store.count(table)
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        assert!(!self.dies.load(Ordering::SeqCst), "told to die");
        self.wait();
        self.store.commit(writes)
    }
}
