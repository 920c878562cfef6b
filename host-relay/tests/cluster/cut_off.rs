//! A relay that has the store and that the servers alone cannot reach: its clients can, and other
//! relays can.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;
use hushwire_relay::store::StoreError;
use hushwire_relay::store::nats::Cluster;
use tempfile::tempdir;

use crate::contract::open;
use crate::losses::{NAME, everyone_holds, put_all, put_one, start};
use crate::nats::{NODES, Nats, PATIENCE, url_of};
use crate::process::Process;
use crate::program::{Relays, connect, ended};
use crate::support::{Target, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;
const CAROL: u16 = 3;
const DAVE: u16 = 4;

/// A way to each server, that can be cut.
struct Ways {
    ports: [u16; NODES],
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Ways {
    fn to(nats: &Nats) -> Self {
        let (cut, open) = (Arc::default(), Arc::default());
        let ports = nats.client_ports().map(|port| way(port, &cut, &open));
        Self { ports, cut, open }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

/// The port that leads to `port`.
fn way(port: u16, cut: &Arc<AtomicBool>, open: &Arc<Mutex<Vec<TcpStream>>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    let (cut, open) = (Arc::clone(cut), Arc::clone(open));
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                continue;
            };
            let mut open = open.lock().unwrap();
            // Asked behind the lock: else one could be made while all are being cut.
            if cut.load(Ordering::SeqCst) {
                continue;
            }
            for stream in [&near, &far] {
                open.push(stream.try_clone().unwrap());
            }
            let both = (near.try_clone().unwrap(), far.try_clone().unwrap());
            for (mut from, mut to) in [both, (far, near)] {
                std::thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    own
}

/// Until it is accepted: a cluster on a busy machine may be slower than these tests' patience.
async fn submit(target: &Target, seed: u16, envelope: &[u8]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = connect(target, seed).await;
        match client.submit(address_of(BOB), envelope).await {
            Ok(Ok(())) => return,
            said => assert!(Instant::now() < deadline, "{said:?}"),
        }
    }
}

/// The other relays go on without it, and it gives the store up: nobody is left with a relay that hears
/// nothing of what the others accept.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_store_and_is_cut_off_gives_it_up() {
    let nats = Nats::start();
    let ways = Ways::to(&nats);
    // Others wait for 15 seconds, the one that is cut off for 30.
    let relays = Relays::of(format!("{}?patience-s=10", nats.url(NAME)));
    let by_ways = format!("{}?patience-s=10", url_of(ways.ports, NAME));
    let first = Process::spawn(&mut relays.command_by(&by_ways, 0, 0));
    assert!(relays.has_said_store(0));
    let second = Process::spawn(&mut relays.command(1, 0));
    relays.says(1, "clients are passed on");
    let mut alice = connect(&first.target, ALICE).await;
    alice.register().await.unwrap();
    for seed in [BOB, CAROL] {
        let mut client = connect(&second.target, seed).await;
        client.register().await.unwrap();
    }
    submit(&first.target, DAVE, b"before").await;

    ways.cut();
    // Nobody has stopped, and all relays reach each other: the one that passes on finds out itself.
    relays.says(1, "the store on the cluster is this relay's");
    submit(&second.target, CAROL, b"from carol").await;

    // Until it ends the first one may say `accepted` of nothing that only it has.
    let mut wrongly = 0u32;
    while let Ok(said) = alice.submit(address_of(BOB), &wrongly.to_be_bytes()).await {
        assert!(said.is_err(), "accepted without the cluster");
        wrongly += 1;
    }
    assert_eq!(ended(first.into_child()), Some(1));
    let why = relays.said(0);
    assert!(why.contains("has given no answer for"), "{why}");

    // Her program goes to the next place.
    submit(&second.target, ALICE, b"from alice").await;
    let mut bob = connect(&second.target, BOB).await;
    for expected in [&b"before"[..], b"from carol", b"from alice"] {
        let (_, envelope) = bob.delivery().await.unwrap();
        assert_eq!(envelope, expected);
        let ack = Request::Ack(EnvelopeId::of(&envelope));
        bob.send(&ack).await.unwrap();
    }
}

/// A commit that is under way while another relay claims the store fails, and appends nothing behind that
/// claim.
#[test]
fn a_commit_that_meets_another_relays_claim_fails() {
    let (nats, folder) = start();
    let ways = Ways::to(&nats);
    // Longer than this test waits: it must not be its patience that ends the commit.
    let url = format!("{}?patience-s=300", url_of(ways.ports, NAME));
    let first = Cluster::open(&url.parse().unwrap(), folder.path(), 1 << 20).unwrap();
    put_all(&first, 0..5);
    ways.cut();
    let other = tempdir().unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| put_one(&first, 77));
        let second = open(&nats, NAME, other.path()).unwrap();
        put_all(&second, 5..8);
        ways.mend();
        let deadline = Instant::now() + PATIENCE;
        let mut said = writing.join().unwrap();
        // It asks the servers why its entry has no place, and a slow one gives no answer in time.
        while matches!(said, Err(StoreError::Io(_))) && Instant::now() < deadline {
            said = put_one(&first, 77);
        }
        assert!(matches!(said, Err(StoreError::Taken)), "{said:?}");
        put_all(&second, 8..10);
    });
    drop(first);
    everyone_holds(&nats, other.path(), 0..10);
}
