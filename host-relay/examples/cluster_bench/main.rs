//! What a store on a NATS cluster costs beside the embedded one, at the `Store` trait, and beside another layout
//! of it on the servers: three of them on this machine's loopback interface, started and ended by this program.
//! docs/SCALE.md has figures.
//!
//! `cargo run --release -p hushwire-relay --example cluster_bench`

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/cluster/nats.rs"]
mod nats;
mod subjects;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hushwire_core::identity::Address;
use hushwire_relay::store::nats::{Cluster, ClusterUrl};
use hushwire_relay::store::{Embedded, Key, Store, Write};

/// Of one stored message: 256 bytes of payload and what is around it.
const ROW: usize = 400;
/// Bytes of an account's one-time prekeys.
const LIST: usize = 1500;
/// Of removals, and of prekeys that are handed out.
const AT_ONCE: u64 = 50;
const RUN: Duration = Duration::from_secs(4);
const CACHE: usize = 64 << 20;

/// What a run has cost so far.
struct Spent<'a> {
    nats: Option<&'a nats::Nats>,
    began: Instant,
    servers: Duration,
}

impl<'a> Spent<'a> {
    fn since(nats: Option<&'a nats::Nats>) -> Self {
        Self {
            nats,
            began: Instant::now(),
            servers: nats.map_or(Duration::ZERO, nats::Nats::cpu),
        }
    }

    /// A line of it: each of `times` was one of `size` messages.
    fn print(self, what: &str, size: u64, mut times: Vec<Duration>) {
        let spent = self.began.elapsed().as_secs_f64();
        let messages = (times.len() as u64 * size) as f64;
        let servers = self.nats.map_or_else(String::new, |nats| {
            let cpu = (nats.cpu() - self.servers).as_secs_f64() * 1e6;
            format!(", servers {:.1} µs a message", cpu / messages)
        });
        times.sort_unstable();
        println!(
            "{what}: {:>7.0} messages/s, {:>6.0} commits/s, p50 {:?}, p99 {:?}{servers}",
            messages / spent,
            times.len() as f64 / spent,
            times[times.len() / 2],
            times[times.len() * 99 / 100]
        );
    }
}

/// A store that is measured, and the servers beneath it.
struct Run<'a> {
    what: &'a str,
    nats: Option<&'a nats::Nats>,
    store: &'a dyn Store,
}

impl<'a> Run<'a> {
    fn on(nats: &'a nats::Nats, what: &'a str, store: &'a dyn Store) -> Self {
        Self {
            what,
            nats: Some(nats),
            store,
        }
    }

    /// All of it. Returns how many messages the store has then, and the number behind the last.
    fn all(&self) -> (u64, u64) {
        let mut next = 0;
        for size in [1, 10, 50, 500] {
            next += self.put(size, next);
        }
        let removed = self.commit(AT_ONCE, "removals", |n| Write::Delete(Key::Message(n)));
        let list: Arc<[u8]> = vec![0x5e; LIST].into();
        let key = |n| Key::Prekeys(Address([(n % AT_ONCE) as u8; 20]));
        self.commit(AT_ONCE, "lists", |n| Write::Put(key(n), Arc::clone(&list)));
        assert!(removed < next, "nothing was left to remove");
        (next - removed, next)
    }

    /// Stores messages behind `first`, `size` at a time. Returns how many.
    fn put(&self, size: u64, first: u64) -> u64 {
        let row: Arc<[u8]> = vec![0x5e; ROW].into();
        let put = |n| Write::Put(Key::Message(first + n), Arc::clone(&row));
        self.commit(size, "messages", put)
    }

    /// Commits batches of `size` writes, one after the other as the relay does.
    fn commit(&self, size: u64, of: &str, write: impl Fn(u64) -> Write) -> u64 {
        let (mut times, mut next) = (Vec::new(), 0);
        let spent = Spent::since(self.nats);
        while spent.began.elapsed() < RUN {
            let batch: Vec<_> = (next..next + size).map(&write).collect();
            let at = Instant::now();
            self.store.commit(&batch).expect("the store takes it");
            times.push(at.elapsed());
            next += size;
        }
        spent.print(
            &format!("{}, {size:>3} {of} a commit", self.what),
            size,
            times,
        );
        next
    }
}

fn opened(what: &str, url: &ClusterUrl, folder: &Path) -> Cluster {
    let at = Instant::now();
    let store = Cluster::open(url, folder, CACHE).expect("the store opens");
    println!("start with {what}: {:?}", at.elapsed());
    store
}

/// The relay's own line for each snapshot: its bytes, and how long it took.
fn print_snapshots() {
    tracing_subscriber::fmt()
        .with_env_filter("hushwire_relay::store::nats::snapshot=info")
        .with_writer(std::io::stdout)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .init();
}

fn main() {
    print_snapshots();
    let folder = tempfile::tempdir().expect("a folder");
    let embedded = Embedded::open(folder.path(), CACHE).expect("the embedded store");
    let run = Run {
        what: "embedded",
        nats: None,
        store: &embedded,
    };
    run.all();
    drop(embedded);

    let nats = nats::Nats::start();
    // No snapshot comes between: the journal stays long.
    let url = format!("{}?snapshot-bytes=10000000000", nats.url("bench"));
    let url: ClusterUrl = url.parse().expect("a store's URL");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = opened("a new store", &url, one.path());
    let run = Run::on(&nats, "cluster ", &store);
    let (messages, next) = run.all();
    let entries = nats.journal_entries("bench");
    drop(store);
    drop(opened("its own copy", &url, one.path()));
    let what =
        format!("an empty folder, {entries} entries of journal that leave {messages} messages");
    drop(opened(&what, &url, two.path()));
    let url = format!("{}?snapshot-bytes=1", nats.url("bench"));
    let store = opened("its own copy", &url.parse().unwrap(), two.path());
    let run = Run::on(&nats, "with snapshots all the time", &store);
    let messages = messages + run.put(1, next);
    std::thread::sleep(Duration::from_secs(5));
    let entries = nats.journal_entries("bench");
    drop(store);
    let three = tempfile::tempdir().unwrap();
    let what = format!("an empty folder, a snapshot of {messages} messages and {entries} entries");
    drop(opened(&what, &url.parse().unwrap(), three.path()));
    subjects::measure(&nats, "subjects", false);
    drop(nats);

    // Servers of today that sync before they acknowledge, and a relay that does, or relies on them.
    let nats = nats::Nats::start_that_sync();
    for (what, name, option) in [
        ("cluster that syncs", "beside", ""),
        ("cluster that alone syncs", "alone", "&servers-sync=always"),
    ] {
        let url = nats.url(name) + "?snapshot-bytes=10000000000" + option;
        let folder = tempfile::tempdir().unwrap();
        let store = opened("a new store", &url.parse().unwrap(), folder.path());
        Run::on(&nats, what, &store).all();
    }
    subjects::measure(&nats, "subjects on servers that sync", true);
}
