//! When the cluster gets its next snapshot.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where the operator says nothing: a journal that is read in a second or so.
const LEAST: u64 = 64 * 1024 * 1024;
/// And this part of the store's file at least. A snapshot writes all rows, so that servers write no more than
/// ten bytes of snapshot for a byte of journal, however large the store.
const PART: u64 = 10;

/// Counts the journal's bytes, and has one snapshot written at a time.
pub(super) struct Due {
    /// Bytes of journal since the newest.
    since: AtomicU64,
    /// The operator's word.
    after: Option<u64>,
    is_running: AtomicBool,
}

impl Due {
    pub(super) fn new(journal_bytes: u64, after: Option<u64>) -> Self {
        Self {
            since: AtomicU64::new(journal_bytes),
            after,
            is_running: AtomicBool::new(false),
        }
    }

    /// So much went to the journal of a store whose file has `file` bytes. Whoever is told `true` writes a
    /// snapshot, and says [`Self::begun`] and [`Self::ended`].
    pub(super) fn is_due(&self, bytes: u64, file: u64) -> bool {
        let since = self.since.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let after = self.after.unwrap_or(LEAST.max(file / PART));
        since >= after && !self.is_running.swap(true, Ordering::AcqRel)
    }

    pub(super) fn begun(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    pub(super) fn ended(&self) {
        self.is_running.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_large_store_is_written_less_often() {
        let small = Due::new(0, None);
        assert!(!small.is_due(64 * MIB - 1, 640 * MIB));
        assert!(small.is_due(1, 640 * MIB));

        let large = Due::new(0, None);
        assert!(!large.is_due(9_999 * MIB, 100_000 * MIB));
        assert!(large.is_due(MIB, 100_000 * MIB));

        let said = Due::new(0, Some(MIB));
        assert!(!said.is_due(MIB - 1, 100_000 * MIB));
        assert!(said.is_due(1, 100_000 * MIB), "the operator's word stands");
    }

    #[test]
    fn one_is_written_at_a_time_and_the_journal_of_others_counts() {
        let due = Due::new(50, Some(100));
        assert!(due.is_due(50, 0));
        due.begun();
        assert!(!due.is_due(100, 0), "one is under way");
        due.ended();
        assert!(due.is_due(0, 0), "what came meanwhile counts");
    }
}
