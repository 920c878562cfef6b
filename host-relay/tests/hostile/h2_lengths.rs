//! H2: lengths at and beyond each bound are refused before anything is allocated for them.

use hushwire_core::link::PREAMBLE;
use hushwire_relay::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE};
use crate::victim::Victim;

/// The length is all that comes: who waited for the rest, or made room for it, would show.
#[tokio::test(flavor = "multi_thread")]
async fn h2_lengths_beyond_a_bound_are_refused_before_any_allocation() {
    let victim = Victim::start(&["--handshake-timeout", "1h"]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());
    let mut count = 0;
    // Of 2^32 - 1, the format's 16 bits see two times 2^16 - 1.
    for length in [0u16, 1, 80, 82, 32_768, 65_534, 65_535] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(victim.target.address).await.unwrap();
            let bytes = [PREAMBLE.as_slice(), &length.to_be_bytes(), &[0xff; 2]].concat();
            stream.write_all(&bytes).await.unwrap();
            let mut scrap = [0; 16];
            let closed = async { while stream.read(&mut scrap).await.is_ok_and(|n| n > 0) {} };
            tokio::time::timeout(PATIENCE, closed)
                .await
                .expect("closed");
            count += 1;
        }
    }
    let largest = Limits::default().max_record;
    for length in [0, 1, 18, largest + 1, u16::MAX - 1, u16::MAX] {
        let mut mallory = Client::connect(&victim.target, 66).await.unwrap();
        let head = length.to_be_bytes();
        mallory.stream.write_all(&head).await.unwrap();
        mallory.wait_for_close().await;
        count += 1;
    }
    honest.ping().await.unwrap();
    victim.is_as_before(descriptors, 1, base).await;
    let grown = victim.peak_kib() - base;
    println!("h2: {count} wrong lengths: the relay grew by {grown} KiB in all");
    assert!(grown <= 512, "{grown} KiB");
}

/// A length within its bound announces bytes. Room is made for those that came, not for those announced.
#[tokio::test(flavor = "multi_thread")]
async fn h2_what_is_announced_takes_no_room() {
    const MANY: u16 = 100;
    let victim = Victim::start(&[]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    let mut announcing = Vec::new();
    for seed in 0..MANY {
        let mut client = Client::connect(&victim.target, 100 + seed).await.unwrap();
        client.ping().await.unwrap();
        announcing.push(client);
    }
    honest.ping().await.unwrap();
    let base = victim.data_kib();
    let head = Limits::default().max_record.to_be_bytes();
    for client in &mut announcing {
        client.stream.write_all(&head).await.unwrap();
    }
    // Each is read before its next byte, which is no whole record either.
    for _ in 0..3 {
        honest.ping().await.unwrap();
        for client in &mut announcing {
            client.stream.write_all(&[0]).await.unwrap();
        }
    }
    honest.ping().await.unwrap();
    let grown = victim.data_kib().saturating_sub(base);
    println!("h2: {MANY} announced records: the relay's heap grew by {grown} KiB in all");
    assert!(grown <= u64::from(MANY) * 4, "{grown} KiB");
}
