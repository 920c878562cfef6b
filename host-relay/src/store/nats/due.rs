//! When the cluster gets its next snapshot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where the operator says nothing: a journal that is read in a second or so.
const LEAST: u64 = 64 * 1024 * 1024;
/// And this part of the newest snapshot at least. One writes all rows, so that servers write no more than two
/// bytes of snapshot for a byte of journal, however large the store. A smaller part would spare an empty folder,
/// which reads snapshot and journal, some of the journal, and cost all servers that much more writing, all the time.
const PART: u64 = 2;

/// Counts the journal's bytes, and has one snapshot written at a time.
pub(super) struct Due {
    /// Bytes of journal since the newest.
    since: AtomicU64,
    /// The operator's word.
    after: Option<u64>,
    /// Of the newest; 0 where there is none.
    snapshot: AtomicU64,
    is_running: AtomicBool,
}

impl Due {
    /// What the cluster has of journal and of snapshot, and the operator's word.
    pub(super) fn new(journal_bytes: u64, snapshot_bytes: u64, after: Option<u64>) -> Self {
        Self {
            since: AtomicU64::new(journal_bytes),
            after,
            snapshot: AtomicU64::new(snapshot_bytes),
            is_running: AtomicBool::new(false),
        }
    }

    /// So much went to the journal of a store whose file has `file` bytes, by which the first snapshot's are
    /// guessed: free pages are among them. Whoever is told `true` writes a snapshot, and says [`Self::begun`] and
    /// [`Self::ended`].
    pub(super) fn is_due(&self, bytes: u64, file: u64) -> bool {
        let since = self.since.fetch_add(bytes, Ordering::Relaxed) + bytes;
        since >= self.after(file) && !self.is_running.swap(true, Ordering::AcqRel)
    }

    fn after(&self, file: u64) -> u64 {
        let snapshot = match self.snapshot.load(Ordering::Relaxed) {
            0 => file,
            bytes => bytes,
        };
        self.after.unwrap_or(LEAST.max(snapshot / PART))
    }

    pub(super) fn begun(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// A snapshot of so many bytes was written; or none, and then the next is due after [`LEAST`] or sooner.
    pub(super) fn ended(&self, written: Option<u64>, file: u64) {
        match written {
            Some(bytes) => self.snapshot.store(bytes, Ordering::Relaxed),
            None => {
                let past = self.after(file).saturating_sub(LEAST);
                self.since.fetch_add(past, Ordering::Relaxed);
            }
        }
        self.is_running.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_large_store_is_written_less_often() {
        let small = Due::new(0, 0, None);
        assert!(!small.is_due(64 * MIB - 1, 128 * MIB));
        assert!(small.is_due(1, 128 * MIB));

        let large = Due::new(0, 0, None);
        assert!(!large.is_due(49_999 * MIB, 100_000 * MIB));
        assert!(large.is_due(MIB, 100_000 * MIB));

        let said = Due::new(0, 0, Some(MIB));
        assert!(!said.is_due(MIB - 1, 100_000 * MIB));
        assert!(said.is_due(1, 100_000 * MIB), "the operator's word stands");
    }

    #[test]
    fn a_file_that_is_mostly_free_counts_until_there_is_a_snapshot() {
        let due = Due::new(0, 0, None);
        assert!(due.is_due(50_000 * MIB, 100_000 * MIB));
        due.begun();
        due.ended(Some(160 * MIB), 100_000 * MIB);
        assert!(!due.is_due(79 * MIB, 100_000 * MIB));
        assert!(due.is_due(MIB, 100_000 * MIB));

        let another = Due::new(0, 160 * MIB, None);
        assert!(!another.is_due(79 * MIB, 100_000 * MIB));
        assert!(
            another.is_due(MIB, 100_000 * MIB),
            "what the cluster has counts"
        );
    }

    #[test]
    fn after_one_that_failed_the_next_is_due_soon() {
        let due = Due::new(0, 0, None);
        assert!(due.is_due(50_000 * MIB, 100_000 * MIB));
        due.begun();
        due.ended(None, 100_000 * MIB);
        assert!(!due.is_due(63 * MIB, 100_000 * MIB), "not at once");
        assert!(due.is_due(MIB, 100_000 * MIB));
    }

    #[test]
    fn one_is_written_at_a_time_and_the_journal_of_others_counts() {
        let due = Due::new(50, 0, Some(100));
        assert!(due.is_due(50, 0));
        due.begun();
        assert!(!due.is_due(100, 0), "one is under way");
        due.ended(None, 0);
        assert!(due.is_due(0, 0), "what came meanwhile counts");
    }
}
