//! The copy on a disk that fails for a moment.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend};
use tempfile::TempDir;

use self::faulty_disk::{Dice, FaultyDisk};
use super::*;
use crate::store::Write;

#[allow(dead_code, reason = "the tests of stores use the rest")]
#[path = "../../../../tests/store/faulty_disk.rs"]
mod faulty_disk;

#[derive(Debug, Default)]
struct Faults {
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    /// Of so many reads one fails; 0 is none.
    one_of: AtomicU64,
    reads: AtomicU64,
}

impl Faults {
    fn may_write(&self) -> io::Result<()> {
        match self.writes_fail.load(Ordering::Relaxed) {
            true => Err(io::Error::other("told to fail")),
            false => Ok(()),
        }
    }
}

/// A file whose reads fail as they are told, and go on.
#[derive(Debug)]
struct Disk(FileBackend, Arc<Faults>);

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let faults = &self.1;
        let read = faults.reads.fetch_add(1, Ordering::Relaxed);
        let one_of = faults.one_of.load(Ordering::Relaxed);
        if faults.reads_fail.load(Ordering::Relaxed) || one_of > 0 && read.is_multiple_of(one_of) {
            return Err(io::Error::other("told to fail"));
        }
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.may_write()?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        // Whether it is durable is not what is tested here.
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.1.may_write()?;
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

/// A copy of which no page stays in memory.
fn copy() -> (Local, Arc<Faults>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let (file, of_disk) = (folder.path().join("file"), Arc::clone(&faults));
    let disk = move || -> io::Result<Box<dyn StorageBackend>> {
        // Not `open_file`, which syncs the folder each time.
        let mut options = std::fs::File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)?;
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(Disk(file, Arc::clone(&of_disk))))
    };
    let store = Embedded::open_on(0, disk).unwrap();
    (Local::over(store, folder.path().to_owned()), faults, folder)
}

fn mark(number: u64) -> Mark {
    Mark {
        epoch: 1,
        term: 2,
        number,
        sequence: number,
    }
}

fn batch(number: u64) -> Outgoing {
    let row = |key| Write::Put(key, Arc::from(number.to_be_bytes().repeat(100)));
    let writes = [row(Key::Message(number)), row(Key::Meta("newest"))];
    Outgoing {
        term: 2,
        number,
        follows: Some(number - 1),
        body: entry::body(&writes).into(),
    }
}

fn newest(local: &Local) -> Option<u64> {
    let row = local.get(&Key::Meta("newest")).ok()??;
    row.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The newest batch is on the disk in the outbox alone; a snapshot's read that fails leaves it in the copy all
/// the same, whatever comes next.
#[test]
fn a_snapshots_read_that_fails_costs_no_batch() {
    let (local, faults, _folder) = copy();
    for number in 1..=9 {
        local.send(&batch(number)).unwrap();
        local.sent(batch(number).body, mark(number), true).unwrap();
    }
    faults.reads_fail.store(true, Ordering::Relaxed);
    assert!(local.bodies(1, &mut |_| Ok(())).is_err());
    faults.reads_fail.store(false, Ordering::Relaxed);

    local.send(&batch(10)).unwrap();
    assert_eq!(local.mark().unwrap(), Some(mark(9)));
    for number in 1..=9 {
        let row = local.get(&Key::Message(number)).unwrap();
        assert!(row.is_some(), "batch {number} is gone");
    }
}

/// Where the servers sync always no batch is in the outbox: all since the last fsync come back to the copy.
#[test]
fn batches_without_an_outbox_outlive_an_error() {
    let (local, faults, _folder) = copy();
    let most = Owed::MOST as u64;
    let sent = |number, kept| local.sent(batch(number).body, mark(number), kept);
    for number in 1..=most {
        assert!(!local.owes_an_fsync(), "{number}");
        sent(number, false).unwrap();
    }
    assert!(local.owes_an_fsync());
    faults.reads_fail.store(true, Ordering::Relaxed);
    assert!(local.bodies(1, &mut |_| Ok(())).is_err());
    faults.reads_fail.store(false, Ordering::Relaxed);
    assert_eq!(local.mark().unwrap(), Some(mark(most)));
    for number in 1..=most {
        let row = local.get(&Key::Message(number)).unwrap();
        assert!(row.is_some(), "batch {number} is gone");
    }

    local.send(&batch(most + 1)).unwrap();
    sent(most + 1, true).unwrap();
    assert!(!local.owes_an_fsync());
    let long = vec![0; Owed::MOST_BYTES].into();
    let long = entry::body(&[Write::Put(Key::Message(0), long)]).into();
    local.sent(long, mark(most + 2), false).unwrap();
    assert!(local.owes_an_fsync());
}

/// A disk that takes nothing more: what the cluster has is read all the same, and the next batch is not sent
/// before the disk works.
#[test]
fn what_the_disk_does_not_take_is_read() {
    let (local, faults, _folder) = copy();
    let sent = |number| local.sent(batch(number).body, mark(number), false);
    sent(1).unwrap();
    faults.writes_fail.store(true, Ordering::Relaxed);
    faults.reads_fail.store(true, Ordering::Relaxed);
    assert!(local.bodies(1, &mut |_| Ok(())).is_err());
    faults.reads_fail.store(false, Ordering::Relaxed);
    assert_eq!(newest(&local), Some(1), "before");
    assert!(!local.owes_an_fsync());
    assert!(sent(2).is_err(), "the disk took it");
    assert_eq!(newest(&local), Some(2), "while the disk takes nothing");
    assert!(local.owes_an_fsync());
    assert!(local.send(&batch(3)).is_err());
    assert!(local.sync().is_err());

    faults.writes_fail.store(false, Ordering::Relaxed);
    local.send(&batch(3)).unwrap();
    local.sent(batch(3).body, mark(3), true).unwrap();
    assert!(!local.owes_an_fsync());
    for number in 1..=3 {
        let row = local.get(&Key::Message(number)).unwrap();
        assert!(row.is_some(), "batch {number} is gone");
    }
    local.sync().unwrap();
    assert!(local.owed.is_nothing());
}

/// Batches, of which those that `keeps` says go through the outbox, until the power is gone. The last of which the
/// cluster was told, and which the outbox is to have from then on.
fn until_cut(disk: &FaultyDisk, keeps: fn(u64) -> bool) -> u64 {
    let Ok(local) = open_on(disk) else { return 0 };
    let mut told = 0;
    for number in 1..=12 {
        let keeps = keeps(number);
        if keeps && local.send(&batch(number)).is_err() {
            break;
        }
        told = number;
        // An error is told to nobody: the cluster has it.
        let _ = local.sent(batch(number).body, mark(number), keeps);
    }
    told
}

fn open_on(disk: &FaultyDisk) -> Result<Local, StoreError> {
    let disk = disk.clone();
    let open = move || -> io::Result<Box<dyn StorageBackend>> { Ok(Box::new(disk.clone())) };
    Ok(Local::over(Embedded::open_on(0, open)?, PathBuf::new()))
}

/// The power is cut at every write and sync. The copy is at one batch then, with all before it and nothing behind it,
/// and whatever went through the outbox is in the one or in the other.
#[test]
fn r2_a_power_cut_leaves_the_copy_at_one_batch_and_the_next_in_the_outbox() {
    let always: fn(u64) -> bool = |_| true;
    let seldom: fn(u64) -> bool = |number| number % 4 == 0;
    let (mut cuts, mut behind) = (0, 0);
    for keeps in [always, seldom] {
        // A new file gets its name when it is whole.
        let fresh = FaultyDisk::default();
        drop(open_on(&fresh).unwrap());
        let whole = fresh.power_up(|| true);
        assert_eq!(until_cut(&whole, keeps), 12);
        for at in 0..whole.operations() {
            let disk = fresh.power_up(|| true);
            disk.cut_after(at);
            let told = until_cut(&disk, keeps);
            let mut dice = Dice::new(at);
            let local = open_on(&disk.power_up(|| dice.roll().is_multiple_of(2))).unwrap();
            let at_batch = local.mark().unwrap().map_or(0, |mark| mark.number);
            for number in 1..=12 {
                let row = local.get(&Key::Message(number)).unwrap();
                assert_eq!(
                    row.is_some(),
                    number <= at_batch,
                    "{number} of {at_batch}, cut {at}"
                );
            }
            assert_eq!(newest(&local).unwrap_or(0), at_batch, "cut {at}");
            let kept = (1..=told).rev().find(|number| keeps(*number)).unwrap_or(0);
            let waits = local.outgoing().unwrap().map_or(0, |out| out.number);
            assert!(
                at_batch >= kept || waits == kept && at_batch + 1 == kept,
                "cut {at}"
            );
            cuts += 1;
            behind += u64::from(at_batch < told);
        }
    }
    println!("r2: {cuts} cuts; {behind} left the copy behind what the cluster was told");
    assert!(behind > 0, "no cut met what was not synced");
}

/// Reads fail in one thread while another one commits: no older batch comes back over a newer one.
#[test]
fn a_reader_that_fails_puts_no_old_batch_back() {
    let (local, faults, _folder) = copy();
    let local = Arc::new(local);
    let ends = Arc::new(AtomicBool::new(false));
    local.send(&batch(1)).unwrap();
    local.sent(batch(1).body, mark(1), true).unwrap();
    faults.one_of.store(499, Ordering::Relaxed);
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (local, ends) = (Arc::clone(&local), Arc::clone(&ends));
            std::thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    let _ = newest(&local);
                }
            })
        })
        .collect();
    for number in 2..200 {
        while local.send(&batch(number)).is_err() {}
        // An error is told to nobody: the cluster has it.
        let _ = local.sent(batch(number).body, mark(number), true);
        let found = std::iter::repeat_with(|| newest(&local)).find_map(|found| found);
        assert_eq!(found, Some(number));
    }
    ends.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    faults.one_of.store(0, Ordering::Relaxed);
    assert_eq!(local.mark().unwrap(), Some(mark(199)));
}

/// What the outbox says of the batches before it is of this very one.
#[test]
fn the_outbox_knows_what_was_given_up() {
    let (local, _faults, _folder) = copy();
    let sent = |number, follows| {
        let out = Outgoing {
            follows,
            ..batch(number)
        };
        local.send(&out).unwrap();
        let found = local.outgoing().unwrap();
        assert_eq!(found.as_ref(), Some(&out));
        [5, 6, 7, 8, 9].map(|number| out.gave_up(number))
    };
    assert_eq!(sent(8, Some(5)), [false, true, true, false, false]);
    assert_eq!(sent(8, None), [false; 5]);
    assert_eq!(sent(8, Some(7)), [false; 5]);

    // A relay of before left what it follows untouched.
    let of_other = |db: &Database| {
        let txn = db.begin_write()?;
        let row = [2u64, 9].map(u64::to_be_bytes).concat();
        txn.open_table(STATE)?.insert(OUTBOX, row.as_slice())?;
        Ok(txn.commit()?)
    };
    local.store.with(of_other).unwrap();
    let found = local.outgoing().unwrap().unwrap();
    assert_eq!((found.number, found.follows), (9, None));
}
