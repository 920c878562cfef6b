//! A relay that stands by: its copy follows the journal, so that it has little to read when it takes
//! over.

use std::time::{Duration, Instant};

use super::entry::RESTORING;
use super::node::Node;
use super::owner;
use crate::store::StoreError;

/// Between two questions who serves. It bounds how late a dead relay is noticed.
const ASK: Duration = Duration::from_millis(200);
/// Between two looks at the journal.
const FOLLOW: Duration = Duration::from_secs(1);
/// The relay that serves may be changing from a dead server of the cluster to another one: before
/// it is taken over it is asked once more, after this time.
const SURE: Duration = Duration::from_millis(500);

impl Node {
    /// Returns when no relay serves the store.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the cluster gave no answer for `patience`.
    pub(super) fn stand_by(&self, patience: Duration) -> Result<(), StoreError> {
        let (mut stands_by, mut answered) = (false, Instant::now());
        let mut followed: Option<Instant> = None;
        loop {
            match self.ask(owner::is_served) {
                Ok(false) if !stands_by => return Ok(()),
                Ok(false) => {
                    std::thread::sleep(SURE);
                    if matches!(self.ask(owner::is_served), Ok(false)) {
                        tracing::warn!("no relay serves the store any more; this one takes over");
                        return Ok(());
                    }
                }
                Ok(true) => {
                    answered = Instant::now();
                    if !stands_by {
                        tracing::info!("another relay serves the store; this one stands by");
                    }
                    stands_by = true;
                    if followed.is_none_or(|at| at.elapsed() >= FOLLOW) {
                        // Not urgent: what is not read now is read when it takes over.
                        if let Err(error) = self.follow() {
                            tracing::debug!(%error, "the journal was not followed");
                        }
                        followed = Some(Instant::now());
                    }
                }
                Err(error) if answered.elapsed() >= patience => return Err(error),
                Err(error) => tracing::debug!(%error, "nobody says who serves the store"),
            }
            std::thread::sleep(ASK);
        }
    }

    /// Brings the copy to the last entry but one: what comes after the last says whether that counts.
    /// A copy that is not simply older than the journal is left for the take-over to judge.
    fn follow(&self) -> Result<(), StoreError> {
        let (first, last) = self.ask(|journal| async move { journal.ends().await })?;
        if last == 0 || self.tip(last)?.flags & RESTORING != 0 {
            return Ok(());
        }
        let known = match self.local.mark()? {
            Some(mark) if self.is_in_journal(&mark, first)? => mark,
            None if self.local.is_empty()? => self.fill_copy(first)?,
            _ => return Ok(()),
        };
        self.replay(known, last, false).map(drop)
    }
}
