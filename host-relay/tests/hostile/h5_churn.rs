//! H5: connections above the cap, and connect/close without end, 1,000 a second.
//! In full, for a minute: `HUSHWIRE_CHURN=60000`.

use hushwire_relay::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep_until};

use crate::relay::Relay;
use crate::support::{Client, PATIENCE, fails};
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
        tokio::time::sleep(Duration::from_millis(500)).await;
        victim.descriptors()
    };
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let base = victim.resident_kib();
    let began = Instant::now();
    for n in 0..count {
        drop(TcpStream::connect(victim.target.address).await.unwrap());
        if n % 100 == 0 {
            // No faster than the row says: the honest client's pings have a rate, too.
            honest.ping().await.unwrap();
            sleep_until(began + Duration::from_millis(u64::try_from(n).unwrap())).await;
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    victim.wait_for_descriptors(descriptors).await;
    honest.ping().await.unwrap();
    let grown = victim.resident_kib().saturating_sub(base);
    println!(
        "h5: {count} connections opened and closed, {rate:.0} a second: {grown} KiB more afterwards"
    );
    assert!(grown <= 2048, "{grown} KiB");
}

/// One address fills its own part and no more; its rate holds although it closes at once.
#[tokio::test(flavor = "multi_thread")]
async fn h5_one_address_is_bounded_in_number_and_in_rate() {
    let victim = Victim::start(&["--connections-per-ip", "4"]);
    let mut held = Vec::new();
    for seed in 0..4 {
        held.push(Client::connect(&victim.target, seed).await.unwrap());
    }
    fails(Client::connect(&victim.target, 9).await, "one too many");
    let descriptors = victim.descriptors();
    drop(held.pop());
    victim.wait_for_descriptors(descriptors - 1).await;
    held.push(Client::connect(&victim.target, 9).await.unwrap());
    for client in &mut held {
        client.ping().await.unwrap();
    }

    let relay = Relay::start_with(Limits {
        handshakes_per_ip_per_second: 5,
        ..Limits::default()
    })
    .await;
    let began = Instant::now();
    let mut honest = Client::connect(&relay.target, 1).await.unwrap();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(relay.target.address).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    }
    honest.ping().await.unwrap();
    let text = relay.metrics.render();
    let refused = text
        .lines()
        .find_map(|line| line.strip_prefix("hushwire_relay_connections_refused_total "))
        .unwrap();
    println!("h5: {refused} of 100 refused at 5 a second");
    let taken = 101 - refused.parse::<u64>().unwrap();
    let most = 5 + 5 * (began.elapsed().as_secs() + 1);
    assert!((5..=most).contains(&taken), "{taken} of {most}");
}
