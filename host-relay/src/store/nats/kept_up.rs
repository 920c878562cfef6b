//! What waits in the copy, kept up while another relay has the store: whoever takes that over has it in memory
//! already.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::Database;

use crate::store::{Embedded, StoreError};
use crate::stored::Stored;

/// Nothing, until it is read: only a relay that stands by needs it.
#[derive(Default)]
pub(super) struct KeptUp {
    stored: Mutex<Option<Stored>>,
    /// How often the file was opened anew: what was not synced is gone from it then.
    anew: Arc<AtomicU64>,
}

impl KeptUp {
    /// To be called whenever the file was.
    pub(super) fn opened_anew(&self) -> impl Fn() + Send + Sync + use<> {
        let anew = Arc::clone(&self.anew);
        move || {
            anew.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self, copy: &Embedded) -> Result<(), StoreError> {
        let mut slot = self.lock();
        *slot = Some(Stored::read(copy)?);
        Ok(())
    }

    pub(super) fn take(&self) -> Option<Stored> {
        self.lock().take()
    }

    /// Does work that changes the copy's rows, and tells what waits of it. Where the work fails, or the file is opened
    /// anew, that is not known any more, and whoever takes the store over reads it.
    pub(super) fn follow<T>(
        &self,
        copy: &Embedded,
        work: impl FnOnce(&Database, &mut Option<Stored>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut slot = self.lock();
        let before = self.anew.load(Ordering::Relaxed);
        let mut stored = slot.take();
        let done = copy.with(|db| work(db, &mut stored));
        if done.is_ok() && self.anew.load(Ordering::Relaxed) == before {
            *slot = stored;
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stored>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
