//! A relay whose servers are known to sync always: its outbox is empty most of the time, and what a power cut
//! takes from its disk the journal has.

use std::path::Path;
use std::time::{Duration, Instant};

use hushwire_relay::store::Embedded;
use hushwire_relay::store::nats::{Cluster, ClusterUrl};
use tempfile::tempdir;

use crate::losses::{NAME, everyone_holds, holds, put_all, put_one, restart};
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
    let (mut nats, folder) = (Nats::start_that_sync(), tempdir().unwrap());
    let store = open(&nats, folder.path());
    let (deadline, mut rows, cut) = (Instant::now() + PATIENCE, 0, tempdir().unwrap());
    // An outbox would have all but the newest on the disk, at any moment.
    loop {
        put_all(&store, rows..rows + 20);
        rows += 20;
        let synced = on_disk(folder.path(), cut.path());
        println!("the relay has synced {synced} of {rows} batches");
        if synced + 1 < rows {
            break;
        }
        assert!(Instant::now() < deadline, "each one is synced");
    }
    // What is left of it is a later moment's: nothing of that comes back.
    let rest = rows..rows + 64;
    put_all(&store, rest.clone());
    assert!(on_disk(folder.path(), tempdir().unwrap().path()) > rows);
    while on_disk(folder.path(), tempdir().unwrap().path()) < rest.end {
        assert!(Instant::now() < deadline, "a quiet relay does not sync");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(store);
    std::fs::copy(cut.path().join(FILE), folder.path().join(FILE)).unwrap();
    everyone_holds(&nats, folder.path(), 0..rest.end);
    let rows = rest.end;

    // Servers whose disks do not keep their word, while the relay is well: it gives back what they lost, the batch that
    // finds it with it.
    nats.wait_until_whole(NAME);
    let off = |nats: &mut Nats| (0..NODES).for_each(|node| nats.kill(node));
    off(&mut nats);
    nats.copy_disks("n", "synced");
    restart(&mut nats);
    let store = open(&nats, folder.path());
    put_all(&store, rows..rows + 10);
    off(&mut nats);
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = put_one(&store, rows + 10) {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    holds(&store, 0..rows + 11, "the relay that gave it back");
    drop(store);
    everyone_holds(&nats, folder.path(), 0..rows + 11);
}

/// All servers' disks are lost, and with them what only they had: the relay gives back what it had synced, which is all
/// where it was stopped, and lacks its last moment where its power was cut too.
#[test]
fn the_disks_of_all_servers_are_lost() {
    let (mut nats, folder) = (Nats::start_that_sync(), tempdir().unwrap());
    let lose_disks = |nats: &mut Nats| {
        for node in 0..NODES {
            nats.kill(node);
            nats.wipe(node);
        }
        restart(nats);
    };
    let store = open(&nats, folder.path());
    put_all(&store, 0..30);
    drop(store);
    lose_disks(&mut nats);
    let store = open(&nats, folder.path());
    holds(&store, 0..30, "a relay that was stopped");

    // Rows by rows, until some are not synced.
    let (deadline, mut rows, cut) = (Instant::now() + PATIENCE, 30, tempdir().unwrap());
    let synced = loop {
        put_all(&store, rows..rows + 20);
        rows += 20;
        let synced = on_disk(folder.path(), cut.path());
        if synced + 1 < rows {
            break synced;
        }
        assert!(Instant::now() < deadline, "each one is synced");
    };
    drop(store);
    std::fs::copy(cut.path().join(FILE), folder.path().join(FILE)).unwrap();
    lose_disks(&mut nats);
    let store = open(&nats, folder.path());
    holds(&store, 0..synced, "a relay whose power was cut");
    assert!(
        rows - synced <= 64,
        "no more than the commits between two syncs"
    );
    put_all(&store, 1_000..1_003);
}

/// Rows that a power cut would leave of the store in `folder`, which is copied to `cut`: what a running relay has not
/// synced cannot be found in its file.
fn on_disk(folder: &Path, cut: &Path) -> u64 {
    std::fs::copy(folder.join(FILE), cut.join(FILE)).unwrap();
    messages(&Embedded::open(cut, 1 << 20).unwrap()).len() as u64
}
