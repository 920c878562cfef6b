//! H8: load at half of the peak for long; memory does not grow. The peak is what this very load reaches without pauses.
//! In full: `HUSHWIRE_SOAK_SECONDS=600`, by a release build.

use std::time::{Duration, Instant};

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;
use tokio::task::JoinHandle;

use crate::support::{Client, Target, address_of};
use crate::victim::{Victim, scale};

const PAIRS: u16 = 16;
const BATCH: u64 = 32;
const WINDOWS: u32 = 24;
/// KiB over all windows behind the warm-up: what an allocator moves about.
const NOISE: f64 = 3072.0;

/// Sends and receives in batches until `until`, one batch in each `pace`; returns how many.
fn pair(target: Target, seed: u16, until: Instant, pace: Duration) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut bob = Client::connect(&target, seed + 1).await.unwrap();
        bob.register().await.unwrap();
        let mut alice = Client::connect(&target, seed).await.unwrap();
        let mut tick = tokio::time::interval(pace.max(Duration::from_micros(1)));
        let mut sent = 0u64;
        while Instant::now() < until {
            tick.tick().await;
            let salt = until.elapsed().as_nanos() as u64 ^ u64::from(std::process::id());
            let body = |n: u64| {
                let mut body = [n.to_be_bytes(), salt.to_be_bytes()].concat();
                body.resize(256, seed as u8);
                body
            };
            let bodies: Vec<_> = (sent..sent + BATCH).map(body).collect();
            let to = address_of(seed + 1);
            let submit = |envelope| Request::Submit { to, envelope };
            let submits: Vec<_> = bodies.iter().map(|body| submit(body)).collect();
            alice.send_all(&submits).await.unwrap();
            let mut acks = Vec::new();
            for _ in 0..BATCH {
                let (_, envelope) = bob.delivery().await.unwrap();
                acks.push(Request::Ack(EnvelopeId::of(&envelope)));
            }
            bob.send_all(&acks).await.unwrap();
            for body in &bodies {
                alice
                    .submitted(EnvelopeId::of(body))
                    .await
                    .unwrap()
                    .unwrap();
            }
            sent += BATCH;
        }
        sent
    })
}

async fn load(target: Target, time: Duration, pace: Duration) -> JoinHandle<u64> {
    let until = Instant::now() + time;
    let pairs: Vec<_> = (0..PAIRS)
        .map(|n| pair(target, 10 + 2 * n, until, pace))
        .collect();
    tokio::spawn(async move {
        let mut sent = 0;
        for pair in pairs {
            sent += pair.await.unwrap();
        }
        sent
    })
}

/// Theil and Sen's: the median of the slopes of all pairs of points. KiB a window.
fn slope(points: &[u64]) -> f64 {
    let mut slopes: Vec<f64> = Vec::new();
    for (at, early) in points.iter().enumerate() {
        for (later, late) in points.iter().enumerate().skip(at + 1) {
            slopes.push((*late as f64 - *early as f64) / (later - at) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes[slopes.len() / 2]
}

#[test]
fn the_slope_is_the_trend_and_not_an_outlier() {
    assert_eq!(slope(&[5, 5, 90, 5, 5]), 0.0);
    assert_eq!(slope(&[0, 2, 4, 600, 8]), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_soak_memory_does_not_grow() {
    let seconds = scale("HUSHWIRE_SOAK_SECONDS", 12) as u64;
    // What is bounded by count is full before the windows begin.
    let victim = Victim::start(&[
        // Acks may be on their way while the next batches come.
        "--sender-share",
        "1",
        "--mailbox-messages",
        "4000",
        "--remembered-acks",
        "1000",
        "--cache-bytes",
        "4194304",
        "--submit-rate",
        "1000000",
        "--submit-burst",
        "1000000",
    ]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let descriptors = victim.descriptors();
    let warm = Duration::from_secs((seconds / 6).max(2));
    let peak = load(victim.target, warm, Duration::ZERO)
        .await
        .await
        .unwrap();
    let per_second = peak as f64 / warm.as_secs_f64();
    let batches = per_second / 2.0 / f64::from(PAIRS) / BATCH as f64;
    let pace = Duration::from_secs_f64(1.0 / batches);

    // Half of the peak begins a window before the first that counts.
    let window = Duration::from_secs(seconds) / WINDOWS;
    let soak = load(victim.target, window * (WINDOWS + 2), pace).await;
    tokio::time::sleep(window).await;
    let mut points = Vec::new();
    for _ in 0..WINDOWS {
        tokio::time::sleep(window).await;
        points.push(victim.resident_kib());
        // Nor does anybody else notice anything.
        honest.ping().await.unwrap();
    }
    let sent = soak.await.unwrap();
    honest.ping().await.unwrap();
    victim.wait_for_descriptors(descriptors).await;

    let trend = slope(&points) * f64::from(WINDOWS);
    let (first, last) = (points[0], points[points.len() - 1]);
    println!(
        "h8: peak {per_second:.0} a second; {sent} in {seconds} s at half of it; \
         {first} KiB at first, {last} at last, trend {trend:.0} KiB over all"
    );
    assert!(trend <= NOISE, "memory grows: {points:?}");
}
