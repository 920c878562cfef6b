//! H4: readers that never read, on the smallest buffer that the kernel gives.

use std::ops::Range;
use std::time::Duration;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::support::{Client, Target, address_of, identity, link_limits};
use crate::victim::{KEPT_KIB, Victim, scale};

const FIRST: u16 = 100;
const BODY: usize = 15_000;
/// Fits into the quarter of a mailbox that is one sender's.
const MESSAGES: u8 = 8;

async fn deaf(target: &Target, seed: u16) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    let stream = socket.connect(target.address).await.unwrap();
    let client = Client::over(stream, target, identity(seed), link_limits(64)).await;
    client.unwrap()
}

/// All of them ask and never read, until each is cut off.
async fn read_nothing(victim: &Victim, everybody: Range<u16>) -> Vec<Client> {
    let mut tasks = Vec::new();
    for seed in everybody {
        let mut deaf = deaf(&victim.target, seed).await;
        tasks.push(tokio::spawn(async move {
            let pings = [Request::Ping { number: 7 }; 512];
            // A full socket is no reason to hang up.
            while let Ok(Ok(())) = timeout(Duration::from_secs(1), deaf.send_all(&pings)).await {}
            deaf
        }));
    }
    let mut held = Vec::new();
    for task in tasks {
        held.push(task.await.unwrap());
    }
    held
}

/// Each has mail, asks without end and never reads: its answers wait in a bounded queue, then it is
/// cut off; its mail is still there. In full: `HUSHWIRE_DEAF=200`.
#[tokio::test(flavor = "multi_thread")]
async fn h4_who_never_reads_is_cut_off_and_keeps_its_mail() {
    let count = scale("HUSHWIRE_DEAF", 40) as u16;
    let everybody = FIRST..FIRST + count;
    let victim = Victim::start(&["--write-timeout", "2s"]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.register().await.unwrap();
    for seed in everybody.clone() {
        let mut owner = Client::connect(&victim.target, seed).await.unwrap();
        owner.register().await.unwrap();
        drop(owner);
        for n in 0..MESSAGES {
            let said = honest.submit(address_of(seed), &[n; BODY]).await.unwrap();
            assert_eq!(said, Ok(()));
        }
    }
    honest.ping().await.unwrap();
    let mut descriptors = victim.descriptors();
    for _ in 0..100 {
        // Until the owners' connections are gone.
        tokio::time::sleep(Duration::from_millis(20)).await;
        descriptors = descriptors.min(victim.descriptors());
    }
    let base = victim.base_kib();

    let mut stayed = Vec::new();
    for _ in 0..2 {
        let held = read_nothing(&victim, everybody.clone()).await;
        // They hold their ends open all the while; the relay lets go of its own.
        stayed.push(victim.grew(descriptors, 1, base).await);
        honest.ping().await.unwrap();
        drop(held);
    }
    let grown = victim.peak_kib() - base;
    let each = grown / u64::from(count);
    println!("h4: {count} deaf readers cost {grown} KiB at most, {each} KiB each; all cut off");
    // What may wait for one connection: a window of deliveries, a read full of the smallest
    // requests, and the answers to those that are at the logic.
    assert!(each <= 384 + 78 + 64, "{each} KiB each");
    // What stays of the first wave is the allocator's, and the store's cache of their mail: the second adds little.
    assert!(stayed[1] <= stayed[0] + KEPT_KIB, "{stayed:?} KiB stay");

    for seed in everybody {
        let mut owner = Client::connect(&victim.target, seed).await.unwrap();
        assert_eq!(owner.welcome.waiting, u32::from(MESSAGES), "mail of {seed}");
        for _ in 0..MESSAGES {
            let (_, envelope) = owner.delivery().await.unwrap();
            let ack = Request::Ack(EnvelopeId::of(&envelope));
            owner.send(&ack).await.unwrap();
        }
        owner.ping().await.unwrap();
    }
}
