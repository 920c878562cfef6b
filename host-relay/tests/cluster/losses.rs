//! What may be lost, and what must not be: docs/SCALE.md, case by case.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::Relay;
use hushwire_relay::store::nats::{Cluster, ClusterUrl, ReplaceError, Role, Standby, replace};
use hushwire_relay::store::{Embedded, Key, Store, StoreError, Write, restore};
use tempfile::{TempDir, tempdir};

use crate::contract::open;
use crate::nats::{NODES, Nats, PATIENCE};
use crate::promises::{messages, put};

pub(crate) const NAME: &str = "mail";

/// A row that tells whose it is.
fn row(arrival: u64) -> Vec<u8> {
    arrival.to_be_bytes().repeat(32)
}

pub(crate) fn put_one(store: &dyn Store, arrival: u64) -> Result<(), StoreError> {
    store.commit(&[put(arrival, &row(arrival))])
}

pub(crate) fn put_all(store: &dyn Store, arrivals: std::ops::Range<u64>) {
    arrivals.for_each(|arrival| put_one(store, arrival).unwrap());
}

fn remove_all(store: &dyn Store, arrivals: std::ops::Range<u64>) {
    let removals: Vec<_> = arrivals.map(|n| Write::Delete(Key::Message(n))).collect();
    store.commit(&removals).unwrap();
}

#[track_caller]
pub(crate) fn holds(store: &dyn Store, arrivals: impl IntoIterator<Item = u64>, whose: &str) {
    let expected: Vec<_> = arrivals.into_iter().map(|n| (n, row(n))).collect();
    let found = messages(store);
    let numbers = |rows: &[(u64, Vec<u8>)]| rows.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    assert_eq!(numbers(&found), numbers(&expected), "{whose}");
    assert!(found == expected, "{whose}: a row was altered");
}

/// The relay's own folder and a new one have the same.
#[track_caller]
pub(crate) fn everyone_holds(nats: &Nats, folder: &Path, arrivals: std::ops::Range<u64>) {
    holds(
        &open(nats, NAME, folder).unwrap(),
        arrivals.clone(),
        "the relay's folder",
    );
    holds(
        &open(nats, NAME, tempdir().unwrap().path()).unwrap(),
        arrivals,
        "an empty folder",
    );
}

pub(crate) fn start() -> (Nats, TempDir) {
    (Nats::start(), tempdir().unwrap())
}

/// What the operator's figure says of the servers, within a look or two.
fn says_behind(store: &Cluster, servers: u64) {
    let deadline = Instant::now() + PATIENCE;
    while store.servers_behind() != servers {
        let behind = store.servers_behind();
        assert!(Instant::now() < deadline, "{behind} are behind");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Each server killed in turn under load, and back with its disk, then one without.
#[test]
fn a_server_is_killed_and_a_servers_disk_is_lost() {
    let (mut nats, folder) = start();
    let store = Arc::new(open(&nats, NAME, folder.path()).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                put_one(&*store, next).expect("one server away is no trouble");
                next += 1;
            }
            next
        })
    };
    for node in 0..NODES {
        std::thread::sleep(Duration::from_millis(500));
        nats.kill(node);
        std::thread::sleep(Duration::from_millis(500));
        if node == 0 {
            says_behind(&store, 1);
        }
        if node == NODES - 1 {
            nats.wipe(node);
        }
        nats.start_node(node);
        nats.wait_for(node);
        nats.wait_until_whole(NAME);
        if node == 0 {
            says_behind(&store, 0);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    drop(store);
    println!("{written} batches of one row were committed meanwhile");
    assert!(written > 100);
    everyone_holds(&nats, folder.path(), 0..written);
}

/// The power of all servers fails, and they come back as they were some time ago: JetStream 2.9
/// acknowledges before fsync. The relay's own disk has what they lost, and writes it back.
#[test]
fn all_power_is_cut_and_the_servers_go_back() {
    let (mut nats, folder) = start();
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 0..20);
    drop(store);
    for node in 0..NODES {
        nats.kill(node);
    }
    nats.copy_disks("n", "synced");
    restart(&mut nats);
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 20..50);
    drop(store);

    for node in 0..NODES {
        nats.kill(node);
    }
    nats.copy_disks("synced", "n");
    restart(&mut nats);
    everyone_holds(&nats, folder.path(), 0..50);

    // And when every server's disk is lost.
    for node in 0..NODES {
        nats.kill(node);
        nats.wipe(node);
    }
    restart(&mut nats);
    let store = open(&nats, NAME, folder.path());
    // The empty folder above served last: this one has the same rows, and knows no less.
    put_all(&store.unwrap(), 50..60);
    everyone_holds(&nats, folder.path(), 0..60);
}

pub(crate) fn restart(nats: &mut Nats) {
    (0..NODES).for_each(|node| nats.start_node(node));
    (0..NODES).for_each(|node| nats.wait_for(node));
}

/// An outbox for every batch, and one for those that got no answer alone.
const OUTBOXES: [&str; 2] = ["", "&servers-sync=always"];

/// An impatient relay with five rows, whose servers have gone but for the journal's leader: that one takes
/// the next batch, and can acknowledge nothing.
fn without_a_quorum(options: &str) -> (Nats, TempDir, Cluster, impl Fn(&mut Nats)) {
    let (mut nats, folder) = start();
    let url = format!("{}?patience-s=2{options}", nats.url(NAME));
    let store = Cluster::open(&url.parse().unwrap(), folder.path(), 1 << 20).unwrap();
    put_all(&store, 0..5);
    let leader = nats.leader(NAME);
    let others = (0..NODES).filter(move |node| *node != leader);
    others.clone().for_each(|node| nats.kill(node));
    let back = move |nats: &mut Nats| others.clone().for_each(|node| nats.start_node(node));
    (nats, folder, store, back)
}

/// Without a quorum nothing is said to be durable. What failed is not there later either: its senders
/// were told, and say it again.
#[test]
fn what_failed_without_a_quorum_does_not_come_back() {
    for options in OUTBOXES {
        let (mut nats, folder, store, back) = without_a_quorum(options);
        for lost in 100..103 {
            assert!(matches!(put_one(&store, lost), Err(StoreError::Io(_))));
        }
        holds(&store, 0..5, "in between");
        back(&mut nats);
        // Patience is short here, so the first tries may fail while the servers elect.
        let mut tries = 0;
        while put_one(&store, 5).is_err() {
            tries += 1;
            assert!(tries < 30, "the cluster does not come back");
            std::thread::sleep(Duration::from_millis(200));
        }
        holds(&store, 0..6, "afterwards");
        drop(store);
        everyone_holds(&nats, folder.path(), 0..6);
    }
}

/// The relay starts again before the next commit: the last batch that got no answer is sent again, for it
/// may have been acknowledged before the power went; those before it stay failed.
#[test]
fn the_last_that_got_no_answer_is_sent_again_by_a_start() {
    for options in OUTBOXES {
        let (mut nats, folder, store, back) = without_a_quorum(options);
        for lost in [100, 101, 5] {
            assert!(put_one(&store, lost).is_err());
        }
        drop(store);
        back(&mut nats);
        everyone_holds(&nats, folder.path(), 0..6);
    }
}

/// Snapshots take the journal's place: it stays short, and an empty folder starts from one.
#[test]
fn a_snapshot_takes_the_journals_place() {
    let (nats, folder) = start();
    let url = format!("{}?snapshot-bytes=20000", nats.url(NAME));
    let store = Cluster::open(&url.parse().unwrap(), folder.path(), 1 << 20).unwrap();
    put_all(&store, 0..300);
    // Deleted rows stay deleted.
    let deletions: Vec<_> = (0..100)
        .map(|arrival| Write::Delete(Key::Message(arrival)))
        .collect();
    store.commit(&deletions).unwrap();
    put_all(&store, 300..400);
    let deadline = Instant::now() + PATIENCE;
    while nats.journal_entries(NAME) > 150 {
        assert!(Instant::now() < deadline, "the journal is not cut");
        put_one(&store, 399).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(store);
    everyone_holds(&nats, folder.path(), 100..400);
}

/// A store of a single relay moves to a cluster: the first start writes it there.
#[test]
fn a_single_relays_store_moves_to_the_cluster() {
    let (nats, folder) = start();
    let single = Embedded::open(folder.path(), 1 << 20).unwrap();
    let epoch = single.epoch();
    put_all(&single, 0..40);
    drop(single);
    everyone_holds(&nats, folder.path(), 0..40);
    let store = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    assert_eq!(store.epoch(), epoch, "clients see the same store");
}

/// A back-up takes the place of what the cluster has, and copies of that are no copies any more.
#[test]
fn a_back_up_takes_the_place_of_the_clusters_store() {
    let (nats, folder) = start();
    let (back_up, fresh, other) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let file = |folder: &TempDir| folder.path().join("store.redb");
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 0..10);
    store.copy().copy_to(&file(&back_up)).unwrap();
    put_all(&store, 10..20);
    let epoch = store.epoch();

    let url: ClusterUrl = nats.url(NAME).parse().unwrap();
    let put_back = || {
        // Whoever stands by waits meanwhile.
        let standby = Standby::open(&url, other.path(), 1 << 20).unwrap();
        let waits = standby.look("nowhere:1").unwrap();
        assert!(matches!(waits, Role::Served(None)));
        Ok::<_, ReplaceError>(restore(back_up.path(), fresh.path(), 1 << 20)?)
    };
    let refused = replace(&url, fresh.path(), 1 << 20, true, put_back);
    assert!(matches!(refused, Err(ReplaceError::Served)), "{refused:?}");
    assert!(!file(&fresh).exists(), "nothing was changed");
    drop(store);
    let refused = replace(&url, fresh.path(), 1 << 20, false, put_back);
    assert!(
        matches!(refused, Err(ReplaceError::Occupied)),
        "{refused:?}"
    );
    assert!(!file(&fresh).exists(), "nothing was changed");
    let failed = replace(&url, fresh.path(), 1 << 20, true, || {
        Err::<(), ReplaceError>(StoreError::Io("no disk".into()).into())
    });
    assert!(failed.is_err());
    everyone_holds(&nats, other.path(), 0..20);

    assert_eq!(
        replace(&url, fresh.path(), 1 << 20, true, put_back)
            .unwrap()
            .damaged,
        0
    );
    // A relay with what is not the store any more comes first.
    let store = open(&nats, NAME, folder.path()).unwrap();
    holds(&store, 0..10, "the relay that had the store");
    assert_ne!(store.epoch(), epoch, "clients notice it");
    assert!(folder.path().join("set-aside-0.redb").exists());
    put_all(&store, 50..60);
    drop(store);
    let all = (0..10).chain(50..60);
    holds(
        &open(&nats, NAME, fresh.path()).unwrap(),
        all,
        "where it was restored",
    );

    // Nothing at all can be restored, too.
    let (empty, nothing) = (tempdir().unwrap(), tempdir().unwrap());
    drop(Embedded::open(empty.path(), 1 << 20).unwrap());
    let put_back = || Ok::<_, ReplaceError>(restore(empty.path(), nothing.path(), 1 << 20)?);
    replace(&url, nothing.path(), 1 << 20, true, put_back).unwrap();
    everyone_holds(&nats, folder.path(), 0..0);
}

/// Of relays that find nobody at the same moment one has the store, and keeps it.
#[test]
fn one_of_those_who_ask_at_once_has_the_store() {
    let nats = Nats::start();
    for round in 0..5 {
        let url: ClusterUrl = nats.url(&format!("round-{round}")).parse().unwrap();
        let folders = [tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap()];
        let standbys = folders.each_ref().map(|folder| {
            // Each opens its streams before any of them asks.
            Standby::open(&url, folder.path(), 1 << 20).unwrap()
        });
        let roles: Vec<_> = std::thread::scope(|scope| {
            let asking = standbys
                .each_ref()
                .map(|standby| scope.spawn(|| standby.look("here:1")));
            asking.map(|asks| asks.join().unwrap().unwrap()).into()
        });
        let owners = roles.iter().filter_map(|role| match role {
            Role::Owner(store) => Some(store),
            Role::Served(_) => None,
        });
        let [owner] = owners.collect::<Vec<_>>()[..] else {
            panic!("round {round}: not one has the store");
        };
        put_all(owner, 0..3);
        assert!(owner.loss().is_none());
    }
}

/// The journal may be cut while it is read.
fn follow(standby: &Standby) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = standby.follow() {
        assert!(Instant::now() < deadline, "{error}");
    }
}

/// Who takes the store over has what waits in memory, whichever way its rows came to it, and reads none of them. (Built
/// with assertions, a relay that opens such a store reads them all the same, and compares.)
#[test]
fn what_waits_is_known_to_who_takes_the_store_over() {
    let (nats, folder) = start();
    let url: ClusterUrl = format!("{}?snapshot-bytes=1", nats.url(NAME))
        .parse()
        .unwrap();
    let mut owner = Cluster::open(&url, folder.path(), 1 << 20).unwrap();
    assert!(owner.stored().is_none(), "nobody told it");
    let folders = [tempdir().unwrap(), tempdir().unwrap()];
    let mut first = 0;
    for folder in &folders {
        // In the copy when it is opened, in the journal, from a snapshot, and in what is read at the claim.
        put_all(&owner, first..first + 20);
        let standby = Standby::open(&url, folder.path(), 1 << 20).unwrap();
        follow(&standby);
        put_all(&owner, first + 20..first + 40);
        remove_all(&owner, first + 5..first + 25);
        follow(&standby);
        put_all(&owner, first + 40..first + 45);
        remove_all(&owner, first + 30..first + 42);
        drop(owner);
        let Role::Owner(store) = standby.look("here:1").unwrap() else {
            panic!("nobody else has it");
        };
        let store = Arc::new(store);
        let now = Now {
            mono_us: 0,
            unix_s: 1_700_000_000,
        };
        let relay = Relay::open(store.clone(), Limits::default(), [0; 32], now).unwrap();
        assert_eq!(relay.tally().stored_messages, first / 45 * 13 + 13);
        drop(relay);
        drop(standby);
        owner = Arc::into_inner(store).unwrap();
        first += 45;
    }
    drop(owner);
    let standby = Standby::open(&url, folders[0].path(), 1 << 20).unwrap();
    let Role::Owner(store) = standby.look("here:1").unwrap() else {
        panic!("nobody else has it");
    };
    assert!(store.stored().is_some(), "it was kept up");
    assert!(store.stored().is_none(), "and is given once");
}

/// A copy with another history is not merged and not thrown away.
#[test]
fn a_foreign_copy_is_set_aside() {
    let (nats, folder) = start();
    put_all(&open(&nats, NAME, folder.path()).unwrap(), 0..10);
    let foreign = tempdir().unwrap();
    put_all(&open(&nats, "other", foreign.path()).unwrap(), 90..95);
    holds(
        &open(&nats, NAME, foreign.path()).unwrap(),
        0..10,
        "the foreign folder",
    );
    let aside = foreign.path().join("set-aside-0.redb");
    let kept = tempdir().unwrap();
    std::fs::copy(aside, kept.path().join("store.redb")).unwrap();
    let kept = Embedded::open(kept.path(), 1 << 20).unwrap();
    holds(&kept, 90..95, "what was set aside");
}
