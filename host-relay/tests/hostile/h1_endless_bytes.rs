//! H1: endless bytes in each state of a connection, and behind each opcode.
//! In full: `HUSHWIRE_FLOOD_BYTES=100000000`.

use std::time::{Duration, Instant};

use hushwire_core::link::{HEAD_ROOM, PREAMBLE, TAIL_ROOM};
use hushwire_relay::limits::{Limits, MAX_FRAME};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, PATIENCE};
use crate::victim::{Victim, scale};

/// Memory that one hostile connection may cost, KiB.
const PER_CONNECTION_KIB: u64 = 64;

/// Writes up to `most` bytes; how many the relay let through before it hung up, and when that was.
async fn flood(stream: &mut TcpStream, most: usize) -> (usize, Duration) {
    let began = Instant::now();
    let block = [0x48; 16 * 1024];
    let mut sent = 0;
    let all = async {
        while sent < most {
            match stream.write(&block[..block.len().min(most - sent)]).await {
                Ok(count) => sent += count,
                Err(_) => return,
            }
        }
        let mut scrap = [0; 4096];
        while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
    };
    tokio::time::timeout(PATIENCE, all).await.expect("closed");
    (sent, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_endless_bytes_in_each_state_of_the_handshake() {
    let bytes = scale("HUSHWIRE_FLOOD_BYTES", 4_000_000);
    // No deadline helps here: the bytes themselves end the connection.
    let victim = Victim::start(&["--handshake-timeout", "1h"]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());
    let mut worst = 0;
    let long = [PREAMBLE.as_slice(), &u16::MAX.to_be_bytes()].concat();
    let right = [PREAMBLE.as_slice(), &81u16.to_be_bytes()].concat();
    for (state, start) in [
        ("nothing sent", &b""[..]),
        ("preamble", &PREAMBLE),
        ("a length that is too long", &long),
        ("the right length", &right),
    ] {
        let before = victim.base_kib();
        let mut stream = TcpStream::connect(victim.target.address).await.unwrap();
        stream.write_all(start).await.unwrap();
        let (sent, took) = flood(&mut stream, bytes).await;
        println!(
            "h1: behind {state}: {sent} of {bytes} bytes went out before the end, after {took:?}"
        );
        honest.ping().await.unwrap();
        worst = worst.max(victim.peak_kib() - before);
    }
    println!("h1: the relay grew by {worst} KiB at most during one of 4 floods");
    assert!(worst <= PER_CONNECTION_KIB, "{worst} KiB");
    victim.is_as_before(descriptors, 1, base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_endless_bytes_after_each_opcode() {
    // Beyond what one of these connections may cost: one that keeps its bytes shows.
    let bytes = scale("HUSHWIRE_FLOOD_BYTES", 4_000_000);
    let victim = Victim::start(&[]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());
    let (mut count, mut worst, mut sent, mut longest) = (0, 0, 0, Duration::ZERO);
    let opcodes = (0..=0x10).chain([0x20, 0x7f, 0x80, 0x81, 0x8b, 0xff]);
    // At first behind no frame at all: what does not open has to end the connection by itself.
    for opcode in [None].into_iter().chain(opcodes.map(Some)) {
        let mut mallory = Client::connect(&victim.target, 66).await.unwrap();
        let before = victim.base_kib();
        // The longest frame that there may be, one longer than it, then bytes without end.
        for len in [MAX_FRAME, MAX_FRAME + 1] {
            let Some(opcode) = opcode else { break };
            let mut frame = vec![opcode; 2 + len];
            frame[..2].copy_from_slice(&(len as u16).to_be_bytes());
            // The relay may have closed after the first.
            let _ = mallory.send_raw(&frame).await;
        }
        let (went, took) = flood(&mut mallory.stream, bytes).await;
        (sent, longest) = (sent + went, longest.max(took));
        honest.ping().await.unwrap();
        worst = worst.max(victim.peak_kib() - before);
        count += 1;
    }
    println!(
        "h1: {count} opcodes, {sent} bytes went out of {bytes} behind each, closed after {longest:?} at most: the relay \
         grew by {worst} KiB at most during one of them"
    );
    assert!(worst <= PER_CONNECTION_KIB, "{worst} KiB");
    victim.is_as_before(descriptors, 1, base).await;
}

/// The dearest thing that a client can hold open: a record that lacks its last byte.
#[tokio::test(flavor = "multi_thread")]
async fn h1_a_record_that_never_ends_costs_at_most_64_kib() {
    const CONNECTIONS: u16 = 48;
    let victim = Victim::start(&[]);
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());
    let largest = Limits::default().max_record;
    let mut torn = vec![0x99; HEAD_ROOM + usize::from(largest) - 1];
    torn[..HEAD_ROOM].copy_from_slice(&largest.to_be_bytes());
    assert!(TAIL_ROOM < torn.len());
    let mut held = Vec::new();
    for seed in 0..CONNECTIONS {
        let mut mallory = Client::connect(&victim.target, 100 + seed).await.unwrap();
        mallory.stream.write_all(&torn).await.unwrap();
        held.push(mallory);
        honest.ping().await.unwrap();
    }
    let each = victim.peak_kib().saturating_sub(base) / u64::from(CONNECTIONS);
    println!("h1: {each} KiB for each of {CONNECTIONS} connections with an unfinished record");
    assert!(each <= PER_CONNECTION_KIB, "{each} KiB");
    drop(held);
    victim.is_as_before(descriptors, 1, base).await;
    honest.ping().await.unwrap();
}
