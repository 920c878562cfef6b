//! Measures durable group commit of the relay's own work on each candidate engine.
//!
//! The work: messages of 256 bytes with 100 bytes around them, keyed by mailbox and sequence, put
//! in batches that each end in one fsync; then each mailbox read in order; then every message
//! deleted in the same batches, again with one fsync each.
//!
//! `cargo run --release -p hushwire-relay --features store-bench --example store_bench`

mod engines;

use std::time::{Duration, Instant};

use engines::{Engine, Fjall, Log, Redb, RedbArrival, Sqlite};

/// A mailbox's address and the message's sequence in it.
const KEY: usize = 28;
/// 256 bytes of payload, and what an envelope and the relay put around them.
const VALUE: usize = 356;
/// Mailboxes that the messages go to, in turn.
const MAILBOXES: u64 = 1_000;

/// (messages in one commit, commits)
const RUNS: [(u64, u64); 3] = [(1, 1_000), (50, 1_000), (1_000, 200)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("engine   batch  messages     put/s   fsync p50   fsync p99    read/s  delete/s");
    for (batch, commits) in RUNS {
        for name in ["sqlite", "fjall", "redb", "redb-arr", "log"] {
            let dir = tempfile::tempdir_in(std::env::current_dir()?)?;
            let mut engine: Box<dyn Engine> = match name {
                "sqlite" => Box::new(Sqlite::open(dir.path())?),
                "fjall" => Box::new(Fjall::open(dir.path())?),
                "redb" => Box::new(Redb::open(dir.path())?),
                "redb-arr" => Box::new(RedbArrival::open(dir.path())?),
                _ => Box::new(Log::open(dir.path())?),
            };
            measure(name, engine.as_mut(), batch, commits)?;
        }
    }
    recovery()
}

/// How long redb takes to open a large store, after an orderly stop and after a crash.
fn recovery() -> engines::Result<()> {
    const MESSAGES: u64 = 1_000_000;
    let dir = tempfile::tempdir_in(std::env::current_dir()?)?;
    let mut engine = RedbArrival::open(dir.path())?;
    for commit in 0..MESSAGES / 1_000 {
        let puts: Vec<_> = (0..1_000).map(|i| message(commit * 1_000 + i)).collect();
        engine.put(&puts)?;
    }
    // The file of a store that is open is what a crash leaves.
    let crashed = tempfile::tempdir_in(std::env::current_dir()?)?;
    std::fs::copy(
        dir.path().join("store.redb"),
        crashed.path().join("store.redb"),
    )?;
    drop(engine);
    for (what, dir) in [("an orderly stop", &dir), ("a crash", &crashed)] {
        let began = Instant::now();
        RedbArrival::open(dir.path())?;
        let took = began.elapsed().as_secs_f64();
        println!("redb-arr opens {MESSAGES} messages after {what} in {took:.2} s");
    }
    Ok(())
}

fn measure(name: &str, engine: &mut dyn Engine, batch: u64, commits: u64) -> engines::Result<()> {
    let messages = batch * commits;
    let mut latencies = Vec::with_capacity(commits as usize);

    let start = Instant::now();
    for commit in 0..commits {
        let puts: Vec<_> = (0..batch).map(|i| message(commit * batch + i)).collect();
        let began = Instant::now();
        engine.put(&puts)?;
        latencies.push(began.elapsed());
    }
    let put = start.elapsed();

    let start = Instant::now();
    let mut read = 0;
    for mailbox in 0..MAILBOXES {
        read += engine.read(&mailbox_key(mailbox))?;
    }
    let reading = start.elapsed();
    assert_eq!(read, messages, "{name} lost messages");

    let start = Instant::now();
    for commit in 0..commits {
        let keys: Vec<_> = (0..batch).map(|i| key(commit * batch + i)).collect();
        engine.delete(&keys)?;
    }
    let delete = start.elapsed();

    latencies.sort_unstable();
    println!(
        "{name:8} {batch:5} {messages:9} {:>9} {:>9.2}ms {:>9.2}ms {:>9} {:>9}",
        rate(messages, put),
        millis(latencies[latencies.len() / 2]),
        millis(latencies[latencies.len() * 99 / 100]),
        rate(messages, reading),
        rate(messages, delete),
    );
    Ok(())
}

fn rate(count: u64, took: Duration) -> u64 {
    (count as f64 / took.as_secs_f64()) as u64
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Addresses are hashes: neighbours in time are strangers in the key space.
fn mailbox_key(mailbox: u64) -> [u8; 20] {
    let mut out = [0; 20];
    let mut state = mailbox.wrapping_add(1);
    for chunk in out.chunks_mut(8) {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (state >> 29);
        let bytes = state.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes();
        chunk.copy_from_slice(&bytes[..chunk.len()]);
    }
    out
}

fn key(message: u64) -> [u8; KEY] {
    let mut out = [0; KEY];
    out[..20].copy_from_slice(&mailbox_key(message % MAILBOXES));
    out[20..].copy_from_slice(&(message / MAILBOXES).to_be_bytes());
    out
}

fn message(n: u64) -> ([u8; KEY], [u8; VALUE]) {
    let mut value = [0u8; VALUE];
    let mut state = n.wrapping_add(0x1234_5678);
    for chunk in value.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
    }
    (key(n), value)
}
