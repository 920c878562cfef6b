//! This copy is the truth, and the cluster gets it: at a start, while the relay serves, or instead of what
//! the cluster has.
//!
//! ```text
//! an entry with RESTORING -> the copy as a snapshot -> an entry without
//! ```
//! In between nobody else goes on from what is half there.

use std::time::Instant;

use super::entry::{self, Head, RESTORING};
use super::journal::trouble;
use super::local::Mark;
use super::node::Node;
use super::reconcile::{CLAIMS, mark_of};
use crate::store::{Key, StoreError, Table};

impl Node {
    /// The cluster has lost what this relay, which has the store and is at `mark`, was told to be there: its
    /// copy and its outbox give it back. `None` where another relay has claimed the store.
    pub(super) fn write_back(
        &self,
        mark: Mark,
        deadline: Instant,
    ) -> Result<Option<Mark>, StoreError> {
        for _ in 0..CLAIMS {
            let ends = self.ask(|journal| async move { journal.ends().await })?;
            let tip = self.tip_of(ends)?;
            let is_ours = match tip {
                // Of a try that was cut off, too.
                Some(tip) if tip.node == self.name => tip.epoch == mark.epoch,
                Some(tip) => {
                    let ours = self.claims()?.agree(tip.term, tip.node);
                    let past = tip.epoch == mark.epoch && tip.term <= mark.term;
                    ours && past && tip.flags & RESTORING == 0
                }
                None => true,
            };
            if !is_ours {
                return Ok(None);
            }
            let restored = self.restore_cluster(ends.last, Some(mark), tip, deadline)?;
            if restored.is_some() {
                return Ok(restored);
            }
        }
        Ok(None)
    }

    /// Makes this copy the store, whatever the cluster has. Copies of other relays, whose epoch is
    /// another, are set aside when they next look.
    ///
    /// # Errors
    /// [`StoreError::Io`] where somebody goes on writing, or the cluster has no quorum.
    pub(super) fn replace_cluster(&self, deadline: Instant) -> Result<(), StoreError> {
        for _ in 0..CLAIMS {
            let ends = self.ask(|journal| async move { journal.ends().await })?;
            let tip = self.tip_of(ends)?;
            let restored = self.restore_cluster(ends.last, None, tip, deadline)?;
            if restored.is_some() {
                return Ok(());
            }
        }
        Err(trouble(
            "another relay writes to it; stop that one and try again",
        ))
    }

    /// This copy is the truth: the cluster gets it whole. Until it has it, nobody else can go on.
    pub(super) fn restore_cluster(
        &self,
        last: u64,
        mark: Option<Mark>,
        tip: Option<Head>,
        deadline: Instant,
    ) -> Result<Option<Mark>, StoreError> {
        let epoch = self.local.epoch()?;
        let number = mark.map_or(0, |mark| mark.number);
        let before = self.ask(|journal| async move { journal.newest_snapshot().await })?;
        let terms = [
            mark.map(|mark| mark.term),
            tip.map(|tip| tip.term),
            // It goes, whatever it is of.
            before.map(|before| before.mark.term),
        ];
        let mut head = Head {
            flags: RESTORING,
            epoch,
            term: terms.into_iter().flatten().max().unwrap_or(0) + 1,
            number: number.max(tip.map_or(0, |tip| tip.number)) + 1,
            follows: number,
            node: self.name,
            part: 0,
            parts: 1,
        };
        let outgoing = self.local.outgoing()?;
        // A new store needs no snapshot, unless there is one of another that it takes the place of.
        let is_new = self.local.is_empty()? && mark.is_none() && tip.is_none() && before.is_none();
        if mark.is_some() {
            tracing::warn!(
                acknowledged = number,
                cluster = tip.map_or(0, |tip| tip.number),
                "the cluster lacks batches that this relay's disk has; they are written back"
            );
        }
        let Some(sequence) = self.append_claim(last, head, &[], deadline)? else {
            return Ok(None);
        };
        if !is_new
            && self
                .write_snapshot(Some(mark_of(&head, sequence)))?
                .is_none()
        {
            return Err(trouble("a later snapshot came in between; try again"));
        }

        // Now the cluster has everything; the next entry says so, with what was on its way and may have been
        // acknowledged, and the rows of a new store.
        let again = outgoing.filter(|outgoing| mark.is_some_and(|mark| outgoing.is_behind(&mark)));
        let mut body = again.map_or_else(Vec::new, |outgoing| outgoing.body.to_vec());
        for key in [Key::Meta("format"), Key::Meta("epoch")] {
            let row = self.local.get(&key)?;
            key.with_bytes(|bytes| {
                entry::push_row(&mut body, Table::Meta, bytes, row.as_deref());
            });
        }
        self.push_claim(&mut body, head.term)?;
        head.flags = 0;
        head.follows = head.number;
        head.number += 1;
        let Some(sequence) = self.append_claim(sequence, head, &body, deadline)? else {
            return Ok(None);
        };
        let mark = mark_of(&head, sequence);
        self.local.apply(&body, mark)?;
        Ok(Some(mark))
    }
}
