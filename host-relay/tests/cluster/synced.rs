//! A relay whose servers are known to sync always: its outbox is empty most of the time, and what a power cut
//! takes from its disk the journal has.

use std::path::Path;
use std::time::{Duration, Instant};

use hushwire_relay::store::Embedded;
use hushwire_relay::store::nats::{Cluster, ClusterUrl};
use tempfile::tempdir;

use crate::losses::{NAME, everyone_holds, holds, put_all, put_one, restart, start};
use crate::nats::{NODES, Nats, PATIENCE};
use crate::promises::messages;

const FILE: &str = "store.redb";

fn open(nats: &Nats, folder: &Path) -> Cluster {
    let url = format!("{}?servers-sync=always", nats.url(NAME));
    let url: ClusterUrl = url.parse().unwrap();
    Cluster::open(&url, folder, 1 << 20).unwrap()
}

#[test]
fn what_a_relay_without_an_outbox_loses_the_journal_has() {
    let (mut nats, folder) = start();
    let store = open(&nats, folder.path());
    put_all(&store, 0..100);
    // What is on its disk while it runs: what was not synced cannot be found from there.
    let cut = tempdir().unwrap();
    std::fs::copy(folder.path().join(FILE), cut.path().join(FILE)).unwrap();
    drop(store);
    let synced = messages(&Embedded::open(cut.path(), 1 << 20).unwrap()).len();
    println!("{synced} of 100 batches were synced by the relay");
    assert!((1..100).contains(&synced));
    std::fs::copy(cut.path().join(FILE), folder.path().join(FILE)).unwrap();
    everyone_holds(&nats, folder.path(), 0..100);

    // Servers that do not keep their word, while the relay is well: it gives back what they lost, the batch that
    // finds it with it.
    nats.wait_until_whole(NAME);
    let off = |nats: &mut Nats| (0..NODES).for_each(|node| nats.kill(node));
    off(&mut nats);
    nats.copy_disks("n", "synced");
    restart(&mut nats);
    let store = open(&nats, folder.path());
    put_all(&store, 100..110);
    off(&mut nats);
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = put_one(&store, 110) {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    holds(&store, 0..111, "the relay that gave it back");
    drop(store);
    everyone_holds(&nats, folder.path(), 0..111);
}
