//! Snapshots: what they may take the place of, and what they leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream::Stream};
use hushwire_relay::store::nats::{Cluster, ClusterUrl, ReplaceError, Role, Standby, replace};
use hushwire_relay::store::{Embedded, Key, Store as _, StoreError, Table, Write, restore};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use tempfile::tempdir;

use crate::contract::open;
use crate::losses::{NAME, holds, put_all, start};
use crate::nats::{Nats, PATIENCE};

/// Opens it with a snapshot after every few rows.
fn open_often(nats: &Nats, folder: &std::path::Path) -> Cluster {
    let url = format!("{}?snapshot-bytes=2000", nats.url(NAME));
    let url = url.parse().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Cluster::open(&url, folder, 1 << 20) {
            // The one before writes a snapshot.
            Err(StoreError::Busy) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Puts rows until the journal was cut, and returns the first that is not there.
fn put_until_cut(nats: &Nats, store: &Cluster, from: u64) -> u64 {
    let (deadline, mut next) = (Instant::now() + PATIENCE, from);
    loop {
        put_all(store, next..next + 10);
        next += 10;
        if nats.journal_entries(NAME) < next - from {
            return next;
        }
        assert!(Instant::now() < deadline, "the journal is not cut");
    }
}

/// Alters a message's row beneath its checksum, as a bad disk does.
fn damage(folder: &std::path::Path, arrival: u64) {
    let rows: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("messages");
    let db = Database::open(folder.join("store.redb")).unwrap();
    let key = arrival.to_be_bytes();
    let mut row = {
        let table = db.begin_read().unwrap().open_table(rows).unwrap();
        table.get(&key[..]).unwrap().unwrap().value().to_vec()
    };
    row[3] ^= 1;
    let txn = db.begin_write().unwrap();
    let mut table = txn.open_table(rows).unwrap();
    table.insert(&key[..], &row[..]).unwrap();
    drop(table);
    txn.commit().unwrap();
}

fn on_snapshots<T>(nats: &Nats, work: impl AsyncFnOnce(jetstream::Context, Stream) -> T) -> T {
    nats.on_jetstream(async |context| {
        let name = format!("hushwire-{NAME}-snapshots");
        let stream = context.get_stream(name).await.unwrap();
        work(context, stream).await
    })
}

/// The server that answers for snapshots is killed while one is under way: the parts that got no answer are said
/// again, and with no further commit the journal is cut.
#[test]
fn a_snapshot_outlives_its_server() {
    let (mut nats, folder) = start();
    let url = format!("{}?snapshot-bytes=20000000", nats.url(NAME));
    let store = Cluster::open(&url.parse().unwrap(), folder.path(), 1 << 20).unwrap();
    nats.wait_until_whole(NAME);
    let leader = on_snapshots(&nats, async |_, stream| {
        let info = stream.get_info().await.unwrap();
        info.cluster.unwrap().leader.unwrap()
    });
    let leader = leader.strip_prefix('n').unwrap().parse().unwrap();
    let row: Arc<[u8]> = vec![0x5e; 64 << 10].into();
    let mut commits = 0;
    for first in (0..330).step_by(10) {
        let put = |arrival| Write::Put(Key::Message(arrival), Arc::clone(&row));
        store
            .commit(&(first..first + 10).map(put).collect::<Vec<_>>())
            .unwrap();
        commits += 1;
        if commits * 10 * row.len() >= 20_000_000 {
            break;
        }
    }
    nats.kill(leader);
    std::thread::sleep(Duration::from_secs(1));
    nats.start_node(leader);
    nats.wait_for(leader);
    nats.wait_until_whole(NAME);
    let deadline = Instant::now() + PATIENCE;
    while nats.journal_entries(NAME) > 5 {
        assert!(Instant::now() < deadline, "the journal is not cut");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(store);
    let filled = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    assert_eq!(filled.count(Table::Messages).unwrap(), commits as u64 * 10);
}

/// The cluster still has the row that the owner's disk has lost: it keeps it.
#[test]
fn a_row_that_is_damaged_on_the_owners_disk_is_not_lost_to_the_cluster() {
    let (nats, folder) = start();
    put_all(&open(&nats, NAME, folder.path()).unwrap(), 0..20);
    damage(folder.path(), 7);
    let store = open_often(&nats, folder.path());
    let all = (0..20).filter(|arrival| *arrival != 7);
    holds(&store, all, "the relay's own copy");
    // Snapshots are due again and again.
    for at in 20..40 {
        put_all(&store, at..at + 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(store);
    let other = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&other, 0..40, "another relay");
    drop(other);
    let parts = on_snapshots(&nats, async |_, mut stream| {
        stream.info().await.unwrap().state.messages
    });
    assert_eq!(parts, 0, "what does not count is removed");
}

/// Killed while it wrote a snapshot: the next one that is whole takes the parts away.
#[test]
fn what_an_interrupted_snapshot_left_goes_with_the_next() {
    let (nats, folder) = start();
    let store = open_often(&nats, folder.path());
    let left = |part: u64| format!("hushwire.{NAME}.snapshot.00000000000000aa.{part}");
    on_snapshots(&nats, async |context, _| {
        for part in 0..3 {
            let put = context.publish(left(part), "rows".into()).await.unwrap();
            put.await.unwrap();
        }
    });
    let next = put_until_cut(&nats, &store, 0);
    drop(store);
    on_snapshots(&nats, async |_, stream| {
        for part in 0..3 {
            let there = stream.get_last_raw_message_by_subject(&left(part)).await;
            assert!(there.is_err(), "part {part} is there for ever");
        }
    });
    let other = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&other, 0..next, "another relay");
}

/// Owners may follow one another so soon that none of them writes much: the journal is cut all the same.
#[test]
fn the_journal_is_cut_whoever_wrote_it() {
    let (nats, folder) = start();
    let (deadline, mut next) = (Instant::now() + PATIENCE, 0);
    loop {
        put_all(&open_often(&nats, folder.path()), next..next + 1);
        next += 1;
        // Each has claimed the store by an entry, too.
        if nats.journal_entries(NAME) <= next {
            break;
        }
        assert!(Instant::now() < deadline, "the journal grows for ever");
    }
    let other = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&other, 0..next, "another relay");
}

/// A relay that stood by is away while the journal is cut. It follows again, and its copy, which is only old, is
/// no damage.
#[test]
fn a_copy_that_fell_behind_is_filled_while_it_stands_by() {
    let (nats, folder) = start();
    let other = tempdir().unwrap();
    let store = open_often(&nats, folder.path());
    put_all(&store, 0..5);
    let url = nats.url(NAME).parse().unwrap();
    let standby = Standby::open(&url, other.path(), 1 << 20).unwrap();
    standby.follow().unwrap();
    let next = put_until_cut(&nats, &store, 5);
    // The snapshot that is read may be replaced at that moment; then a follower looks again.
    while let Err(error) = standby.follow() {
        println!("{error}");
    }
    put_all(&store, next..next + 1);
    drop(store);
    let Role::Owner(store) = standby.look("nowhere:1").unwrap() else {
        panic!("nobody serves it");
    };
    holds(&store, 0..next + 1, "the one that stood by");
    // A third one, whose copy is not there yet, asks who has the store.
    let third = Standby::open(&url, tempdir().unwrap().path(), 1 << 20).unwrap();
    let holder = third.holder().unwrap().expect("one has it");
    assert_eq!(holder.at, "nowhere:1");
    let aside = other.path().join("set-aside-0.redb");
    assert!(
        !aside.exists(),
        "the same owner's older rows are kept by it"
    );
}

/// Tells whoever works beside a test that it has ended, or failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The journal is cut again and again while others read it: what they miss is in a snapshot, and is no damage.
#[test]
fn who_reads_the_journal_while_it_is_cut_finds_no_damage() {
    let (nats, folder) = start();
    let url: ClusterUrl = nats.url(NAME).parse().unwrap();
    let store = open_often(&nats, folder.path());
    let ends = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut next = 0;
            while !ends.load(Ordering::Relaxed) {
                put_all(&store, next..next + 1);
                next += 1;
            }
            next
        });
        let ends = Ends(&ends);
        let (deadline, mut cut) = (Instant::now() + PATIENCE, 0);
        while cut < 3 {
            assert!(Instant::now() < deadline, "{cut} cuts were met");
            let other = tempdir().unwrap();
            let standby = Standby::open(&url, other.path(), 1 << 20).unwrap();
            while let Err(error) = standby.follow() {
                // Another snapshot may take the place of the one that is read, too.
                assert!(matches!(error, StoreError::Io(_)), "{error}");
                cut += u32::from(error.to_string().contains("the journal was cut"));
            }
            let aside = other.path().join("set-aside-0.redb");
            assert!(!aside.exists(), "it is this store's");
        }
        drop(ends);
        writing.join().unwrap()
    });
    drop(store);
    let other = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&other, 0..written, "an empty folder");
}

/// The servers' disks keep the journal and the snapshots apart, and a power cut may take the one back and not the
/// other. A snapshot that is not of the journal is nothing to go on from, and the next start writes one that is.
#[test]
fn a_snapshot_that_outlived_its_journal_is_nothing_to_go_on_from() {
    let (nats, folder) = start();
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 0..20);
    let epoch = store.epoch();
    drop(store);
    let mut said = Vec::new();
    // Its name and its parts; how far it is: epoch, term, number, sequence.
    for field in [1, 0, epoch, 50, 1000, 1000] {
        said.extend(u64::to_be_bytes(field));
    }
    let done = format!("hushwire.{NAME}.snapshot.done");
    on_snapshots(&nats, async |context, _| {
        let put = context.publish(done.clone(), said.into()).await.unwrap();
        put.await.unwrap();
    });

    let empty = tempdir().unwrap();
    let store = open(&nats, NAME, empty.path()).unwrap();
    holds(&store, 0..20, "an empty folder");
    drop(store);
    let newest = on_snapshots(&nats, async |_, stream| {
        stream.get_last_raw_message_by_subject(&done).await.unwrap()
    });
    assert_ne!(newest.payload[..8], 1u64.to_be_bytes(), "another is named");
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 20..25);
    drop(store);
    let store = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&store, 0..25, "from the new one");
}

/// The journal is lost and a snapshot is left. A back-up takes the place of that one too, where somebody said so.
#[test]
fn a_back_up_takes_the_place_of_a_snapshot_without_a_journal() {
    let (nats, folder) = start();
    let store = open_often(&nats, folder.path());
    put_until_cut(&nats, &store, 0);
    drop(store);
    nats.on_jetstream(async |context| {
        let journal = format!("hushwire-{NAME}-journal");
        context.delete_stream(journal).await.unwrap();
    });
    let (back_up, fresh) = (tempdir().unwrap(), tempdir().unwrap());
    put_all(&Embedded::open(back_up.path(), 1 << 20).unwrap(), 90..95);
    let url: ClusterUrl = nats.url(NAME).parse().unwrap();
    let put_back =
        || Ok::<_, ReplaceError>(restore(back_up.path(), fresh.path(), 1 << 20).map(drop)?);
    let refused = replace(&url, fresh.path(), 1 << 20, false, put_back);
    assert!(
        matches!(refused, Err(ReplaceError::Occupied)),
        "{refused:?}"
    );
    replace(&url, fresh.path(), 1 << 20, true, put_back).unwrap();
    let store = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&store, 90..95, "an empty folder");
}

/// Somebody purged the journal by hand. A relay with a copy gives it back; one without starts no new store in its
/// place.
#[test]
fn a_journal_that_was_emptied_is_given_back() {
    let (nats, folder) = start();
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 0..20);
    drop(store);
    nats.on_jetstream(async |context| {
        let journal = context.get_stream(format!("hushwire-{NAME}-journal"));
        journal.await.unwrap().purge().await.unwrap();
    });
    let refused = open(&nats, NAME, tempdir().unwrap().path()).err();
    assert!(
        matches!(refused, Some(StoreError::Damaged(_))),
        "{refused:?}"
    );
    let store = open(&nats, NAME, folder.path()).unwrap();
    put_all(&store, 20..25);
    drop(store);
    let store = open(&nats, NAME, tempdir().unwrap().path()).unwrap();
    holds(&store, 0..25, "an empty folder");
}
