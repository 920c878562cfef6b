//! The batches that the copy may have without their fsync.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, Durability};

use super::apply::apply;
use super::local::Mark;

/// Those batches, in order. One is here before it is applied: an older one never comes back over it.
#[derive(Default)]
pub(super) struct Owed(Mutex<Batches>);

#[derive(Clone, Default)]
struct Batches {
    list: Vec<(Mark, Arc<[u8]>)>,
    /// The copy did not take the last one.
    failed: bool,
}

impl Owed {
    /// With so many of them, or so many bytes, an fsync is due.
    pub(super) const MOST: usize = 64;
    pub(super) const MOST_BYTES: usize = 4 << 20;

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, mark: Mark, body: Arc<[u8]>) {
        self.lock().list.push((mark, body));
    }

    /// The copy did not take the last one.
    pub(super) fn failed(&self) {
        self.lock().failed = true;
    }

    /// An fsync was all of theirs.
    pub(super) fn paid(&self) {
        *self.lock() = Batches::default();
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.lock().list.is_empty()
    }

    /// Whether an fsync is due: the copy has done without for long, or did not take the last one.
    pub(super) fn is_due(&self) -> bool {
        let Batches { list, failed } = &*self.lock();
        let bytes: usize = list.iter().map(|(_, body)| body.len()).sum();
        *failed || list.len() >= Self::MOST || bytes >= Self::MOST_BYTES
    }

    /// To a database that was opened anew.
    pub(super) fn apply_again(&self, db: &Database) -> Result<(), redb::Error> {
        // Not held meanwhile: whoever applies a batch may wait for this very opening.
        let batches = self.lock().clone();
        let Some(((mark, last), before)) = batches.list.split_last() else {
            return Ok(());
        };
        for (mark, body) in before {
            apply(db, body, *mark, Durability::None, &mut None)?;
        }
        apply(db, last, *mark, Durability::Immediate, &mut None)
    }
}
