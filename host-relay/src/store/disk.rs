//! The hook beneath the engine: any disk, chosen at run time, and what it may not have kept.
//!
//! A sync that failed is not made good by one that works: Linux reports the error once, counts the pages
//! as clean, and writes them no more, though reads still show them. So what was written since the last
//! sync that worked is written again before anything is built on it ([`Unsynced::make_good`]).

use std::io;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// Bytes that are read and written again at once.
const CHUNK: u64 = 64 * 1024;
/// Of a file that nothing is owed to, the start is written to see whether it takes writes.
const PROBE: u64 = 512;

/// What the file's handles, one after another, know of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The file's length, for whoever bounds it.
    pub(super) len: AtomicU64,
    pub(super) unsynced: Unsynced,
}

/// Bytes that were written since the last sync that worked, in order.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Mutex<Vec<Range<u64>>>);

impl Unsynced {
    fn ranges(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, offset: u64, len: u64) {
        let mut ranges = self.ranges();
        match ranges.last_mut() {
            Some(last) if last.end == offset => last.end += len,
            _ => ranges.push(offset..offset + len),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// Writes what is there once more, and syncs it: then the disk has what reads show. Nobody else
    /// uses the file. An error means that the disk still takes no writes.
    pub(super) fn make_good(&self, disk: &dyn StorageBackend) -> io::Result<()> {
        let len = disk.len()?;
        let owed = self.ranges().clone();
        let probe = Range {
            start: 0,
            end: PROBE,
        };
        let ranges = match owed.is_empty() {
            true => std::slice::from_ref(&probe),
            false => &owed,
        };
        let mut bytes = Vec::new();
        for range in ranges {
            let (mut at, end) = (range.start, range.end.min(len));
            while at < end {
                bytes.resize((end - at).min(CHUNK) as usize, 0);
                disk.read(at, &mut bytes)?;
                disk.write(at, &bytes)?;
                at += bytes.len() as u64;
            }
        }
        disk.sync_data()?;
        self.ranges().clear();
        Ok(())
    }
}

/// redb takes its disk by type; ours comes from a function, so that a test can hand in a faulty one.
#[derive(Debug)]
pub(super) struct AnyDisk(pub(super) Box<dyn StorageBackend>, pub(super) Arc<Known>);

fn lacks_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl StorageBackend for AnyDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.1.len.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        // What is written meanwhile is the next sync's.
        let owed = std::mem::take(&mut *self.1.unsynced.ranges());
        self.0
            .sync_data()
            .inspect_err(|_| drop(self.1.unsynced.ranges().splice(..0, owed)))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let written = self.0.write(offset, data);
        // One that fails may have been half done. What found no room is of a batch that failed: it is owed to
        // nobody, and would find none again, however much is deleted meanwhile.
        if !written.as_ref().is_err_and(lacks_room) {
            self.1.unsynced.add(offset, data.len() as u64);
        }
        written
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
