//! What a store on a NATS cluster costs beside the embedded one, at the `Store` trait: three servers on
//! this machine's loopback interface, started and ended by this program. docs/SCALE.md has figures.
//!
//! `cargo run --release -p hushwire-relay --example cluster_bench`

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/cluster/nats.rs"]
mod nats;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hushwire_relay::store::nats::{Cluster, ClusterUrl};
use hushwire_relay::store::{Embedded, Key, Store, Write};

/// Of one stored message: 256 bytes of payload and what is around it.
const ROW: usize = 400;
const RUN: Duration = Duration::from_secs(4);
const CACHE: usize = 64 << 20;

/// Commits batches of `size` messages, one after the other as the relay does.
fn measure(what: &str, store: &dyn Store, size: u64, next: &mut u64) {
    let row: Arc<[u8]> = vec![0x5e; ROW].into();
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < RUN {
        let put = |n| Write::Put(Key::Message(*next + n), Arc::clone(&row));
        let batch: Vec<_> = (0..size).map(put).collect();
        let at = Instant::now();
        store.commit(&batch).expect("the store takes it");
        times.push(at.elapsed());
        *next += size;
    }
    let spent = began.elapsed().as_secs_f64();
    times.sort_unstable();
    println!(
        "{what}, {size:>3} messages a commit: {:>7.0} messages/s durable, {:>6.0} commits/s, p50 {:?}, p99 {:?}",
        (times.len() as u64 * size) as f64 / spent,
        times.len() as f64 / spent,
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

fn opened(what: &str, url: &ClusterUrl, folder: &std::path::Path) -> Cluster {
    let at = Instant::now();
    let store = Cluster::open(url, folder, CACHE).expect("the store opens");
    println!("start with {what}: {:?}", at.elapsed());
    store
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let sizes = [1, 10, 50, 500];
    let embedded = Embedded::open(folder.path(), CACHE).expect("the embedded store");
    let mut next = 0;
    for size in sizes {
        measure("embedded", &embedded, size, &mut next);
    }
    drop(embedded);

    let nats = nats::Nats::start();
    // No snapshot comes between: the journal stays long.
    let url = format!("{}?snapshot-bytes=10000000000", nats.url("bench"));
    let url: ClusterUrl = url.parse().expect("a store's URL");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = opened("a new store", &url, one.path());
    let mut next = 0;
    for size in sizes {
        measure("cluster ", &store, size, &mut next);
    }
    let entries = nats.journal_entries("bench");
    drop(store);
    drop(opened("its own copy", &url, one.path()));
    let what = format!("an empty folder, {entries} entries and {next} messages of journal");
    drop(opened(&what, &url, two.path()));
    let url = format!("{}?snapshot-bytes=1", nats.url("bench"));
    let store = opened("its own copy", &url.parse().unwrap(), two.path());
    measure("with snapshots all the time", &store, 1, &mut next);
    std::thread::sleep(Duration::from_secs(5));
    let entries = nats.journal_entries("bench");
    drop(store);
    let three = tempfile::tempdir().unwrap();
    let what = format!("an empty folder, a snapshot of {next} messages and {entries} entries");
    drop(opened(&what, &url.parse().unwrap(), three.path()));
    drop(nats);

    // Servers of today that sync before they acknowledge, and a relay that does, or relies on them.
    let nats = nats::Nats::start_that_sync();
    for (what, store, option) in [
        ("cluster that syncs", "beside", ""),
        ("cluster that alone syncs", "alone", "&servers-sync=always"),
    ] {
        let url = nats.url(store) + "?snapshot-bytes=10000000000" + option;
        let folder = tempfile::tempdir().unwrap();
        let store = opened("a new store", &url.parse().unwrap(), folder.path());
        let mut next = 0;
        for size in sizes {
            measure(what, &store, size, &mut next);
        }
    }
}
