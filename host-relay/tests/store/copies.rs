//! A copy is made while the store is written, and while the disk fails.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hushwire_relay::store::{Embedded, Key, Store, StoreError, Write};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::contract::put;

const ROWS: u64 = 100_000;

/// A file that only one can have open, whose syncs fail as they are told.
#[derive(Debug)]
struct Disk(FileBackend, Arc<AtomicBool>);

impl Disk {
    fn open(path: &Path, syncs_fail: &Arc<AtomicBool>) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = std::fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = FileBackend::new(file.open(path)?).map_err(io::Error::other)?;
        Ok(Box::new(Self(file, Arc::clone(syncs_fail))))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::Error::other("told to fail")),
            false => self.0.sync_data(),
        }
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
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

/// All of it is in memory, so the copy does not meet the failure by itself: it is told, and the store goes
/// on long before the copy would have been done.
#[test]
fn a_copy_under_way_is_no_hindrance_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let syncs_fail = Arc::<AtomicBool>::default();
    let (file, told) = (folder.path().join("store"), Arc::clone(&syncs_fail));
    let store = Embedded::open_on(1 << 28, move || Disk::open(&file, &told)).unwrap();
    let rows: Vec<_> = (0..ROWS).map(|n| put(n, &[n as u8; 50])).collect();
    store.commit(&rows).unwrap();

    // On a busy machine a copy may be done before it is told.
    let met = (0..20).any(|n| {
        let copy = folder.path().join(format!("copy-{n}.redb"));
        let begun = copy.with_extension("part");
        let copied = std::thread::scope(|scope| {
            let copying = scope.spawn(|| store.copy_to(&copy));
            while !begun.exists() && !copying.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            syncs_fail.store(true, Ordering::Relaxed);
            assert!(store.commit(&[put(ROWS, b"lost")]).is_err());
            syncs_fail.store(false, Ordering::Relaxed);
            store.commit(&[put(ROWS, b"kept")]).unwrap();
            copying.join().unwrap()
        });
        match copied {
            Ok(_) => false,
            Err(error) => {
                assert!(matches!(error, StoreError::Io(_)), "{error:?}");
                assert!(!copy.exists() && !begun.exists());
                true
            }
        }
    });
    assert!(met, "no copy met the failure");
    let copy = folder.path().join("copy.redb");
    assert_eq!(store.copy_to(&copy).unwrap().damaged, 0);
}

/// Rows of several tables change together; a copy that is made meanwhile has them as they were in one moment.
#[test]
fn a_copy_is_of_one_moment() {
    const COPIES: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), 1 << 20).unwrap();
    let keys = || [Key::Message(1), Key::Acked(1), Key::Meta("moment")];
    let commit = |moment: u64| {
        let rows = keys().map(|key| Write::Put(key, Arc::from(moment.to_be_bytes())));
        store.commit(&rows).unwrap();
    };
    commit(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut moments = 1..;
            while !done.load(Ordering::Relaxed) {
                commit(moments.next().unwrap_or_default());
            }
        });
        let places = (0..COPIES).map(|n| folder.path().join(format!("copy{n}")));
        let copied = places.map(|to| {
            std::fs::create_dir(&to).map_err(|error| StoreError::Io(error.to_string()))?;
            store.copy_to(&to.join("store.redb")).map(|_| to)
        });
        let copies = copied.collect::<Result<Vec<_>, _>>();
        // Whatever came of it: else the writer goes on.
        done.store(true, Ordering::Relaxed);
        let copies = copies.unwrap();
        let mut moments = std::collections::HashSet::new();
        for copy in copies {
            let copy = Embedded::open(&copy, 1 << 20).unwrap();
            let rows = keys().map(|key| copy.get(&key).unwrap().unwrap());
            assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
            moments.insert(rows[0].clone());
        }
        assert!(moments.len() > 1, "nothing was written meanwhile");
    });
}
