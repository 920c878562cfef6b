//! The plan of docs/SCALE.md, as a calculation that can be run again with other numbers:
//!
//! `cargo run -p hushwire-relay --example cluster_plan -- [DEVICES] [MESSAGES A DAY EACH] [SHARE ONLINE, %]`
//!
//! Costs per device are constants below, each with where it was measured. Behind the plan stands a simulation of one of
//! its shards (`shard.rs`).

mod shard;

/// Bytes on disk of an identity with a bundle and 100 one-time prekeys of 37 bytes: rows as STORE.md lists them, by
/// their lengths; with half as much again for the tree's pages.
const ACCOUNT: f64 = (300.0 + 100.0 * 37.0) * 1.5;
/// Bytes of a stored message: 256 of payload, 100 around it, the row's and the tree's.
const MESSAGE: f64 = 400.0 * 1.5;
/// Bytes that a message puts into the journal: once stored, once removed.
const JOURNAL: f64 = 400.0 + 60.0;
/// A snapshot is written after so much of the store's bytes in journal (`src/store/nats/due.rs`).
const SNAPSHOT_AFTER: f64 = 0.5;
/// Messages a second stored through one store on a cluster by 50 senders: a seventh of the most that was measured with
/// everything on two cores (`cargo xtask bench relay --nodes`: 59,000 to 70,000, and 45,000 in a slower hour), for network and
/// disks of one's own kind are slower than a loopback.
const STORE_RATE: f64 = 10_000.0;
/// Bytes of memory of an idle client: at the relay that has the store, where it is connected to another one,
/// and at that other one (`cargo xtask bench relay --nodes`).
const REMOTE: f64 = 1_187.0;
const CONNECTION: f64 = 1_587.0;
/// Bytes of memory of a message that waits, at the relay that has the store and at each that stands by: 88 in full mailboxes, up
/// to 140 in small ones (`cargo xtask bench relay --growth`).
const WAITING: f64 = 140.0;
/// Connections of one relay that are sensible: 2^17 sockets.
const CONNECTIONS: f64 = 131_072.0;
/// Messages of a busy hour, as a multiple of the average hour.
const BUSY: f64 = 4.0;
/// Hours that a message waits for a device that is away, on average.
const WAITS: f64 = 12.0;

fn main() {
    let given: Vec<f64> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let or = |n: usize, default: f64| given.get(n).copied().unwrap_or(default);
    let (devices, daily, online) = (or(0, 10e6), or(1, 40.0), or(2, 20.0) / 100.0);

    let rate = devices * daily / 86_400.0 * BUSY;
    let shards = (rate / STORE_RATE).ceil().max(1.0);
    let by_connections = (devices * online / CONNECTIONS).ceil();
    // A relay more, so that any one may be away.
    let relays = shards.max(by_connections) + 1.0;
    let waiting = devices * (1.0 - online) * daily * WAITS / 24.0;
    let store = devices * ACCOUNT + waiting * MESSAGE;
    let gib = |bytes: f64| bytes / f64::from(1u32 << 30);

    println!(
        "{devices:.0} devices, {daily:.0} messages a day each, {:.0} % online:",
        online * 100.0
    );
    println!("  busy hour                 {rate:>12.0} messages/s");
    println!("  shards by the store       {shards:>12.0}");
    println!("  relays by connections     {by_connections:>12.0}");
    println!("  relays, one may be away   {relays:>12.0}");
    println!(
        "  memory of connections     {:>12.1} GiB at the relays, {:.1} at the owners of the shards",
        gib(devices * online * CONNECTION),
        gib(devices * online * REMOTE)
    );
    println!("  messages that wait        {waiting:>12.0}");
    println!(
        "  memory of them            {:>12.1} GiB at the owners, {:.1} at each and at each relay that follows it",
        gib(waiting * WAITING),
        gib(waiting * WAITING / shards)
    );
    println!(
        "  store                     {:>12.1} GiB in all, {:.1} a shard",
        gib(store),
        gib(store / shards)
    );
    println!(
        "  on the relays' disks      {:>12.1} GiB at each (a copy of the shard that it follows)",
        gib(store / shards)
    );
    println!(
        "  on the servers' disks     {:>12.1} GiB (three replicas of the journal and two snapshots, while the next one is written)",
        gib(store * 3.0 * (2.0 + SNAPSHOT_AFTER))
    );
    println!(
        "  journal                   {:>12.1} MB/s in all, on the network three times, and once more for each relay that follows",
        rate * JOURNAL / 1e6
    );
    println!(
        "  snapshots                 {:>12.1} MB/s in all, the same way, at most",
        rate * JOURNAL / SNAPSHOT_AFTER / 1e6
    );
    let every_s = SNAPSHOT_AFTER * store / (rate * JOURNAL);
    println!(
        "  a shard's snapshot        {:>12.1} hours after the last one, written at {:.1} MB/s or faster",
        every_s / 3_600.0,
        store / shards / every_s / 1e6
    );
    println!(
        "  streams                   {:>12.0} (two a shard)",
        shards * 2.0
    );
    println!(
        "  one store                 {:>12.0} devices at this use",
        STORE_RATE / BUSY * 86_400.0 / daily
    );

    // Who is there acks in time, and the store never hears of it.
    let stored = rate / shards * (1.0 - online);
    println!(
        "\nOne shard in a busy quarter of an hour, with a relay killed, a server lost, a relay hung, simulated:"
    );
    println!("  stored/s  rows a commit   accepted p50      p99   longest  most waits  caught up");
    for stored in [stored, STORE_RATE, 1.5 * STORE_RATE, 2.0 * STORE_RATE] {
        let shard::Quarter {
            rows,
            median_ms,
            most_ms,
            longest_ms,
            waited,
            caught_up_s,
        } = shard::busy_quarter(stored);
        let caught_up = match caught_up_s.is_finite() {
            true => format!("{caught_up_s:.1} s"),
            false => "never".to_owned(),
        };
        println!(
            "  {stored:>8.0} {rows:>14.0} {median_ms:>11.0} ms {most_ms:>5.0} ms {:>7.1} s {:>7.1} MiB {caught_up:>10}",
            longest_ms / 1e3,
            waited / f64::from(1u32 << 20),
        );
    }
}
