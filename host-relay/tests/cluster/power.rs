//! Where something is lost, or the relay's own disk is all that keeps it: docs/SCALE.md, case by case. What
//! is lost is what the table says, and nothing else; what is left is served, and takes more.

use std::path::Path;

use hushwire_relay::store::nats::Standby;
use hushwire_relay::store::{Embedded, StoreError};
use tempfile::tempdir;

use crate::contract::open;
use crate::losses::{NAME, everyone_holds, holds, put_all, restart, start};
use crate::nats::{NODES, Nats};

/// Rows 0 to 19 of every store are on the servers' disks, 20 to 49 only in their memory; then the power of all
/// fails. In between `last` happens. One cluster for all cases: it costs seconds, a store little.
fn unsynced_tail_is_cut(stores: &[(&str, &Path)], last: impl FnOnce(&Nats)) -> Nats {
    let mut nats = Nats::start();
    for (name, folder) in stores {
        let store = open(&nats, name, folder).unwrap();
        put_all(&store, 0..20);
        nats.wait_until_whole(name);
    }
    (0..NODES).for_each(|node| nats.kill(node));
    nats.copy_disks("n", "synced");
    restart(&mut nats);
    for (name, folder) in stores {
        put_all(&open(&nats, name, folder).unwrap(), 20..50);
    }
    last(&nats);
    (0..NODES).for_each(|node| nats.kill(node));
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    nats
}

#[test]
fn all_power_is_cut_and_another_relay_starts_first_or_the_disk_is_lost() {
    let folders = [(); 5].map(|()| tempdir().unwrap());
    let [fewer, more, followed, lost, other] = &folders;
    let stores = [
        ("fewer", fewer.path()),
        ("more", more.path()),
        ("followed", followed.path()),
        ("lost", lost.path()),
    ];
    let nats = unsynced_tail_is_cut(&stores, |nats| {
        // A relay that stands by: its copy follows the journal.
        drop(open(nats, "followed", other.path()).unwrap());
    });

    // It has what the servers lost.
    let store = open(&nats, "followed", other.path()).unwrap();
    holds(&store, 0..50, "the one that stood by");
    drop(store);
    let store = open(&nats, "followed", followed.path()).unwrap();
    holds(&store, 0..50, "the one that served last");

    // With the disk of the relay nobody has what was not synced; what was goes on.
    let empty = tempdir().unwrap();
    let store = open(&nats, "lost", empty.path()).unwrap();
    holds(&store, 0..20, "what was synced");
    put_all(&store, 20..25);
    drop(store);
    let store = open(&nats, "lost", tempdir().unwrap().path()).unwrap();
    holds(&store, 0..25, "what was synced, and what came then");

    another_one_starts_first(&nats, "fewer", fewer.path(), 5);
    another_one_starts_first(&nats, "more", more.path(), 60);
}

/// It has what the servers had synced, and goes on from there. What the first one had beyond that is lost to
/// the store, and kept in a file. Whether the other one writes `rows` fewer or more than were lost: its entries may
/// have the very terms, numbers and sequences of those.
fn another_one_starts_first(nats: &Nats, name: &str, folder: &Path, rows: u64) {
    let other = tempdir().unwrap();
    let store = open(nats, name, other.path()).unwrap();
    holds(&store, 0..20, "what was synced");
    put_all(&store, 100..100 + rows);
    drop(store);

    let after = || (0..20).chain(100..100 + rows);
    let store = open(nats, name, folder).unwrap();
    holds(&store, after(), "the relay that served last");
    put_all(&store, 200..201);
    drop(store);
    let store = open(nats, name, other.path()).unwrap();
    holds(&store, after().chain(200..201), "both have one store");
    drop(store);

    let kept = tempdir().unwrap();
    let aside = folder.join("set-aside-0.redb");
    std::fs::copy(aside, kept.path().join("store.redb")).unwrap();
    let kept = Embedded::open(kept.path(), 1 << 20).unwrap();
    holds(&kept, 0..50, "the file beside has all that was accepted");
}

/// Two of three disks are lost, and the third server had been away for the newest rows. Two empty servers are a
/// quorum that knows nothing, so the operator empties the third as well (docs/OPERATING.md): what counts then is
/// the disk of the relay that served last. A store whose relay's disk is lost too is lost.
#[test]
fn two_of_three_servers_disks_are_lost() {
    let (mut nats, folder) = start();
    let other = tempdir().unwrap();
    for (name, folder) in [(NAME, &folder), ("other", &other)] {
        let store = open(&nats, name, folder.path()).unwrap();
        put_all(&store, 0..30);
        nats.wait_until_whole(name);
    }
    nats.kill(2);
    for (name, folder) in [(NAME, &folder), ("other", &other)] {
        put_all(&open(&nats, name, folder.path()).unwrap(), 30..50);
    }
    for node in [0, 1] {
        nats.kill(node);
        nats.wipe(node);
    }
    nats.wipe(2);
    restart(&mut nats);

    let store = open(&nats, NAME, folder.path()).unwrap();
    holds(&store, 0..50, "the relay's folder");
    put_all(&store, 50..55);
    drop(store);
    everyone_holds(&nats, folder.path(), 0..55);

    drop(other);
    let empty = tempdir().unwrap();
    let store = open(&nats, "other", empty.path()).unwrap();
    holds(&store, [], "nobody has it any more");
    put_all(&store, 0..3);
}

/// A relay was stopped while it wrote back what the cluster had lost. Another one does not go on from what is
/// half there, names the one that has it, and does not advise what would destroy it.
#[test]
fn who_comes_while_another_one_writes_back_is_told_whom_to_start() {
    let (nats, folder) = start();
    let node = 0xabcd_u64;
    let mut claim = vec![1, 1];
    for field in [5, 1, 1, 0, node] {
        claim.extend(field.to_be_bytes());
    }
    claim.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    claim.extend(crc32fast::hash(&claim).to_be_bytes());
    // The streams are made by the first to look.
    let url = nats.url(NAME).parse().unwrap();
    let standby = Standby::open(&url, folder.path(), 1 << 20).unwrap();
    nats.on_jetstream(async |context| {
        let journal = format!("hushwire.{NAME}.journal");
        let put = context.publish(journal, claim.into()).await.unwrap();
        put.await.unwrap();
    });
    let Err(refused) = standby.look("nowhere:1") else {
        panic!("it went on from what is half there");
    };
    assert!(matches!(refused, StoreError::WritingBack(of) if of == node));
    let said = refused.to_string();
    assert!(said.contains("000000000000abcd"), "{said}");
    assert!(!said.contains("puts a back-up"), "{said}");
}
