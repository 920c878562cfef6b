//! Where something is lost, or the relay's own disk is all that keeps it: docs/SCALE.md, case by case. What
//! is lost is what the table says, and nothing else; what is left is served, and takes more.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hushwire_relay::store::nats::{ClusterUrl, Role, Standby};
use hushwire_relay::store::{Embedded, Store as _, StoreError};
use tempfile::tempdir;

use crate::contract::open;
use crate::losses::{NAME, everyone_holds, holds, put_all, put_one, restart, start};
use crate::nats::{NODES, Nats, PATIENCE};

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

/// What the servers say as soon as they have elected.
async fn answered<T, E: std::fmt::Display>(mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let mut why = String::new();
    for _ in 0..20 {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => why = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the servers do not come to an answer: {why}");
}

/// The servers may be electing.
fn follow(standby: &Standby) {
    let followed = (0..20).find_map(|_| standby.follow().ok());
    followed.expect("the copy follows");
}

/// The power of all servers fails while the relays go on. Who has the store gives back what they lost, and
/// whoever stands by, with less of it, waits for that.
#[test]
fn servers_that_go_back_get_from_the_owner_what_they_lost() {
    let (mut nats, folder) = start();
    let other = tempdir().unwrap();
    let url: ClusterUrl = nats.url(NAME).parse().unwrap();
    let owner = open(&nats, NAME, folder.path()).unwrap();
    put_all(&owner, 0..20);
    nats.wait_until_whole(NAME);
    let off = |nats: &mut Nats| (0..NODES).for_each(|node| nats.kill(node));
    off(&mut nats);
    nats.copy_disks("n", "synced");
    restart(&mut nats);

    let standby = Standby::open(&url, other.path(), 1 << 20).unwrap();
    put_all(&owner, 20..50);
    follow(&standby);
    off(&mut nats);
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    nats.wait_until_whole(NAME);
    // It cannot be given back at once, and nothing is appended to what is half there.
    let snapshots = nats.on_jetstream(async |context| {
        let name = format!("hushwire-{NAME}-snapshots");
        let stream = answered(async || context.get_stream(&name).await).await;
        answered(async || match context.delete_stream(&name).await {
            Err(error) if !error.to_string().contains("not found") => Err(error),
            _ => Ok(()),
        })
        .await;
        stream.cached_info().config.clone()
    });
    let is_back = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_back.load(Ordering::Relaxed) {
                // The servers may be electing.
                let looked = standby.look("here:1");
                assert!(!matches!(looked, Ok(Role::Owner(_))), "it took the store");
            }
        });
        let putting = scope.spawn(|| put_one(&owner, 50));
        std::thread::sleep(Duration::from_secs(3));
        assert!(!putting.is_finished());
        nats.on_jetstream(async |context| {
            answered(async || context.create_stream(snapshots.clone()).await).await;
        });
        let put = putting.join();
        is_back.store(true, Ordering::Relaxed);
        put.unwrap().expect("the owner gives back what was lost");
    });
    put_all(&owner, 51..60);
    assert!(owner.loss().is_none());
    holds(&owner, 0..60, "the owner");

    // They go back once more, and the owner does not come any more: what the other one has is all there is. Its
    // copy ends before the newest entry, of which nobody has said that it counts.
    follow(&standby);
    off(&mut nats);
    drop(owner);
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    let (deadline, mut looks) = (Instant::now() + 2 * PATIENCE, 0);
    let store = loop {
        assert!(Instant::now() < deadline, "nobody has the store");
        match standby.look("here:1") {
            Ok(Role::Owner(store)) => break store,
            Ok(Role::Served(_)) => looks += 1,
            Err(error) => println!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(looks > 0, "it did not wait for the one that had more");
    holds(&store, 0..59, "the one that stood by");
}

/// A relay counted the journal's last entry, and then one came that does not: its sender had been told that it
/// failed. The copy is filled anew, by who stands by and by who takes the store.
#[test]
fn a_copy_with_a_batch_that_was_given_up_is_filled_anew() {
    let (nats, folder) = start();
    let other = tempdir().unwrap();
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 0..5);
    let epoch = store.epoch();
    drop(store);
    // Its claim is the last entry.
    drop(open(&nats, NAME, other.path()).unwrap());

    let last = nats.on_jetstream(async |context| {
        let stream = format!("hushwire-{NAME}-journal");
        let stream = context.get_stream(stream).await.unwrap();
        let subject = format!("hushwire.{NAME}.journal");
        let last = stream.get_last_raw_message_by_subject(&subject).await;
        last.unwrap().payload
    });
    let [term, number, follows] =
        [10, 18, 26].map(|at| u64::from_be_bytes(last[at..at + 8].try_into().unwrap()));
    // As the relay before would write them: behind the claim, and not on it.
    let entry = |number: u64, follows: u64| {
        let mut entry = vec![1, 0];
        for field in [epoch, term + 1, number, follows, 0xabcd] {
            entry.extend(field.to_be_bytes());
        }
        entry.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        entry.extend(crc32fast::hash(&entry).to_be_bytes());
        entry
    };
    let entries = [entry(number + 1, follows), entry(number + 2, number + 1)];
    nats.on_jetstream(async |context| {
        for entry in entries {
            let journal = format!("hushwire.{NAME}.journal");
            let put = context.publish(journal, entry.into()).await.unwrap();
            put.await.unwrap();
        }
    });
    let url: ClusterUrl = nats.url(NAME).parse().unwrap();
    let standby = Standby::open(&url, other.path(), 1 << 20).unwrap();
    standby.follow().unwrap();
    standby.follow().unwrap();
    drop(standby);
    let store = open(&nats, NAME, other.path()).unwrap();
    holds(&store, 0..5, "who had counted it");
    put_all(&store, 5..7);
    drop(store);
    everyone_holds(&nats, folder.path(), 0..7);
}
