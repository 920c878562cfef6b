//! H5: connections above the cap, and connect/close without end.
//! In full: `HUSHWIRE_CHURN=60000`.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE};
use crate::victim::{Victim, scale};

#[tokio::test(flavor = "multi_thread")]
async fn h5_above_the_cap_all_are_refused_and_all_returns() {
    let victim = Victim::start(&["--connections", "32", "--handshake-timeout", "1h"]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let descriptors = victim.descriptors();
    let mut held = Vec::new();
    for _ in 0..31 {
        held.push(TcpStream::connect(victim.target.address).await.unwrap());
    }
    victim.wait_for_descriptors(descriptors + 31).await;
    for _ in 0..300 {
        let mut refused = TcpStream::connect(victim.target.address).await.unwrap();
        let mut scrap = [0; 1];
        let end = tokio::time::timeout(PATIENCE, refused.read(&mut scrap)).await;
        assert!(!end.unwrap().is_ok_and(|count| count > 0));
    }
    assert_eq!(victim.descriptors(), descriptors + 31);
    honest.ping().await.unwrap();
    drop(held);
    victim.wait_for_descriptors(descriptors).await;
    let mut other = Client::connect(&victim.target, 2).await.unwrap();
    other.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_connect_and_close_without_end() {
    let count = scale("HUSHWIRE_CHURN", 3_000);
    let victim = Victim::start(&[]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    // What the first connections warm up is no growth.
    for _ in 0..200 {
        drop(TcpStream::connect(victim.target.address).await.unwrap());
    }
    let descriptors = 1 + {
        drop(honest);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        victim.descriptors()
    };
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let base = victim.resident_kib();
    for n in 0..count {
        drop(TcpStream::connect(victim.target.address).await.unwrap());
        if n % 100 == 0 {
            honest.ping().await.unwrap();
        }
    }
    victim.wait_for_descriptors(descriptors).await;
    honest.ping().await.unwrap();
    let grown = victim.resident_kib().saturating_sub(base);
    println!("h5: {count} connections opened and closed: {grown} KiB more afterwards");
    assert!(grown <= 2048, "{grown} KiB");
}
