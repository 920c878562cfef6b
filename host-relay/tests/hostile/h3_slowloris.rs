//! H3: connections that dribble their handshake. In full: `HUSHWIRE_SLOW_CONNECTIONS=2000`.

use std::time::{Duration, Instant};

use hushwire_core::link::PREAMBLE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE, address_of};
use crate::victim::{Victim, scale};

/// Messages of two honest clients, before the attack and during it.
const HONEST: usize = 500;

/// Dribbles until the relay hangs up.
async fn dribble(address: std::net::SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let bytes = [PREAMBLE.as_slice(), &81u16.to_be_bytes(), &[4; 81]].concat();
    for byte in bytes.chunks(1) {
        let mut scrap = [0; 1];
        let pause = Duration::from_millis(500);
        match tokio::time::timeout(pause, stream.read(&mut scrap)).await {
            Err(_) if stream.write_all(byte).await.is_ok() => {}
            _ => return,
        }
    }
    panic!("the relay waited for the whole message");
}

/// Stores and receives `count` messages; how long each took, in order.
async fn exchange(alice: &mut Client, bob: &mut Client, start: u32, count: u32) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in start..start + count {
        let began = Instant::now();
        let envelope = [&n.to_be_bytes()[..], b"envelope"].concat();
        let taken = alice.submit(address_of(2), &envelope).await.unwrap();
        taken.expect("an honest message is accepted");
        let (_, got) = bob.delivery().await.unwrap();
        assert_eq!(got, envelope);
        let id = hushwire_core::wire::EnvelopeId::of(&got);
        let ack = hushwire_core::wire::request::Request::Ack(id);
        bob.send(&ack).await.unwrap();
        bob.ping().await.unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_slowloris() {
    let count = scale("HUSHWIRE_SLOW_CONNECTIONS", 500);
    let victim = Victim::start(&["--handshake-timeout", "3s"]);
    let mut alice = Client::connect(&victim.target, 1).await.unwrap();
    let mut bob = Client::connect(&victim.target, 2).await.unwrap();
    bob.register().await.unwrap();
    let quiet = exchange(&mut alice, &mut bob, 0, HONEST as u32).await;
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());

    let address = victim.target.address;
    let slow: Vec<_> = (0..count).map(|_| tokio::spawn(dribble(address))).collect();
    for _ in 0..600 {
        if victim.descriptors() > descriptors + count / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let open = victim.descriptors();
    assert!(open > descriptors + count / 2, "no attack: {open}");
    let busy = exchange(&mut alice, &mut bob, HONEST as u32, HONEST as u32).await;
    for task in slow {
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    victim.wait_for_descriptors(descriptors).await;
    exchange(&mut alice, &mut bob, 2 * HONEST as u32, 10).await;
    let grown = victim.resident_kib().saturating_sub(base);
    let ratio = |rank: usize| busy[rank].as_secs_f64() / quiet[rank].as_secs_f64();
    let (median, p99) = (ratio(HONEST / 2), ratio(HONEST * 99 / 100));
    println!("h3: {count} cut at the deadline; {HONEST} exchanges idle and as many meanwhile");
    println!("h3: {median:.2} times the median, {p99:.2} times the p99; {grown} KiB more");
    // Another test may have this machine meanwhile; a relay that waits for the slow ones takes seconds.
    assert!(median < 10.0, "{median:.2} times as long as idle");
    // What the allocator keeps of a few KiB for each task, and no more.
    assert!(grown <= 4 * count as u64 + 2048, "{grown} KiB");
}
