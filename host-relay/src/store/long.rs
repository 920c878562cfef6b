//! Reads that take long, as of a back-up: the database that they read ends them when it has failed, for its
//! file can only be opened again when nobody has it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StoreError;

/// Times that a database was let go.
#[derive(Clone, Debug, Default)]
pub(super) struct LetGo(Arc<AtomicU64>);

/// A read that began at one of them.
#[derive(Debug)]
pub(super) struct Long {
    let_go: LetGo,
    began: u64,
}

impl LetGo {
    /// Before the database is asked for.
    pub(super) fn begin(&self) -> Long {
        Long {
            began: self.0.load(Ordering::Acquire),
            let_go: self.clone(),
        }
    }

    pub(super) fn end_all(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

impl Long {
    /// Asked for every row.
    pub(super) fn goes_on(&self) -> Result<(), redb::Error> {
        match self.let_go.0.load(Ordering::Acquire) == self.began {
            true => Ok(()),
            false => Err(redb::Error::PreviousIo),
        }
    }
}

/// Of a file that this process had open: not another one has it, but a read that has not ended yet.
pub(super) fn still_read(error: StoreError) -> StoreError {
    match error {
        StoreError::Busy => StoreError::Io("a read of it from before the failure goes on".into()),
        other => other,
    }
}
