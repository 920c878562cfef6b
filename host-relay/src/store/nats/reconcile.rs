//! At the start: the folder's copy and the cluster's journal, and which of them knows more.
//!
//! ```text
//! the journal is empty                           -> this copy is the truth: the cluster gets it
//! it ends before this copy does, at an entry of  -> the cluster lost what it had acknowledged: the same
//!                             this copy's history
//! this copy ends at an entry of the journal      -> the journal's tail is applied
//! anything else                                  -> the copy is another history: set aside, filled anew
//! ```
//! Then the store is claimed: an entry of a higher term, behind the newest. Whoever wrote before can
//! append nothing more.

use std::time::Instant;

use super::claims::{CLAIMED, Claims};
use super::entry::{self, Head, RESTORING};
use super::journal::{AppendError, Ends, PAUSE, trouble};
use super::local::{Former, Mark, Outgoing};
use super::node::Node;
use super::owner;
use super::snapshot::Done;
use crate::store::{StoreError, Table};

/// A claim is tried again when somebody else's entry came first.
pub(super) const CLAIMS: u32 = 5;
/// Entries of the journal that are applied with one fsync.
const APPLIED: u64 = 256;

impl Node {
    /// The highest term that was claimed, 0 in a new store.
    pub(super) fn newest_term(&self) -> Result<u64, StoreError> {
        self.ask(|journal| async move { owner::newest_term(&journal).await })
    }

    /// Brings copy and journal together and claims the store; returns the claim's mark.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where another relay claims a term above `seen`: it was faster, and claiming
    /// behind it would only take the store away again.
    pub(super) fn take_over(&self, seen: u64, deadline: Instant) -> Result<Mark, StoreError> {
        let mut too_late = 0;
        while too_late < CLAIMS {
            match self.try_take_over(seen, deadline) {
                Ok(Some(mark)) => return Ok(mark),
                Ok(None) => too_late += 1,
                // The cluster may be without a leader for a while, as after a start.
                Err(StoreError::Io(error)) if Instant::now() < deadline => {
                    tracing::debug!(%error, "the store is not ours yet");
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    /// `None` when somebody's entry came before the claim.
    fn try_take_over(&self, seen: u64, deadline: Instant) -> Result<Option<Mark>, StoreError> {
        let ends = self.ask(|journal| async move { journal.ends().await })?;
        let Ends { first, last, .. } = ends;
        let mark = self.local.mark()?;
        if ends.is_empty() {
            if last > 0 && mark.is_none() {
                let what =
                    "the journal was emptied: start a relay that has a copy, or restore a back-up";
                return Err(StoreError::Damaged(what.into()));
            }
            let orphan = self.ask(|journal| async move { journal.newest_snapshot().await })?;
            if orphan.is_some() && mark.is_none() {
                let what = "the cluster has a snapshot, and no journal";
                return Err(StoreError::Damaged(what.into()));
            }
            return self.restore_cluster(last, mark, None, deadline);
        }

        let tip = self.tip(last)?;
        if tip.term > seen && tip.node != self.name {
            return Err(StoreError::Busy);
        }
        let restoring = tip.flags & RESTORING != 0;
        if restoring && tip.node != self.name {
            return Err(StoreError::WritingBack(tip.node));
        }
        if restoring || self.is_ahead(mark, last, &tip)? {
            return self.restore_cluster(last, mark, Some(tip), deadline);
        }

        let outgoing = self.local.outgoing()?;
        let known = match mark {
            Some(mark) if mark.epoch == tip.epoch && self.is_in_journal(&mark, first)? => mark,
            _ => self.fill_copy(first, &tip)?,
        };
        // The outbox tells of the last entry what an entry behind it would have told.
        let known = self.bring_to(ends, known, &|head| {
            let given_up = outgoing.as_ref().is_some_and(|out| {
                out.term == head.term && head.node == self.name && out.gave_up(head.number)
            });
            !given_up
        })?;
        self.claim(known, last, tip, outgoing, deadline)
    }

    /// Whether the journal, whose newest entry is `tip`, ends at an entry of this copy's past.
    pub(super) fn is_ahead(
        &self,
        mark: Option<Mark>,
        last: u64,
        tip: &Head,
    ) -> Result<bool, StoreError> {
        let ours = self.claims()?.agree(tip.term, tip.node);
        Ok(mark.is_some_and(|mark| {
            let past = ours && tip.term <= mark.term && tip.number <= mark.number;
            mark.epoch == tip.epoch && last < mark.sequence && past
        }))
    }

    /// Brings the copy, which is at `known`, to the end of the journal.
    pub(super) fn bring_to(
        &self,
        Ends { first, last, .. }: Ends,
        known: Mark,
        last_counts: &dyn Fn(&Head) -> bool,
    ) -> Result<Mark, StoreError> {
        let brought = match self.replay(known, last, last_counts)? {
            Some(mark) => mark,
            None => {
                // A claim was tried on top of it, and came too late. Its sender had been told that it failed.
                tracing::info!(
                    "this relay's copy has a batch that was given up; it is filled anew"
                );
                let known = self.fill_instead(Former::Older, first)?;
                self.replay(known, last, last_counts)?
                    .ok_or_else(out_of_order)?
            }
        };
        self.local.filled()?;
        Ok(brought)
    }

    /// The newest entry, if there is one.
    pub(super) fn tip_of(&self, ends: Ends) -> Result<Option<Head>, StoreError> {
        match ends.is_empty() {
            true => Ok(None),
            false => self.tip(ends.last).map(Some),
        }
    }

    pub(super) fn tip(&self, last: u64) -> Result<Head, StoreError> {
        let tip = self.ask(move |journal| async move { journal.head(last).await })?;
        tip.ok_or_else(|| trouble("the journal's newest entry is gone"))
    }

    pub(super) fn is_in_journal(&self, mark: &Mark, first: u64) -> Result<bool, StoreError> {
        if mark.sequence < first {
            return Ok(false);
        }
        let sequence = mark.sequence;
        let there = self.ask(move |journal| async move { journal.head(sequence).await })?;
        let claims = self.claims()?;
        Ok(there.is_some_and(|head| head.is_at(mark) && claims.agree(head.term, head.node)))
    }

    /// Whether the store was this relay's at `mark`.
    pub(super) fn wrote(&self, mark: &Mark) -> Result<bool, StoreError> {
        Ok(self.claims()?.agree(mark.term, self.name))
    }

    pub(super) fn claims(&self) -> Result<Claims, StoreError> {
        Claims::parse(self.local.get(&CLAIMED)?.as_deref())
    }

    /// A claim's own row, for its body.
    pub(super) fn push_claim(&self, body: &mut Vec<u8>, term: u64) -> Result<(), StoreError> {
        let row = self.claims()?.and(term, self.name).emit();
        CLAIMED.with_bytes(|key| entry::push_row(body, Table::Meta, key, Some(&row)));
        Ok(())
    }

    /// What this copy, which is not in the journal, is to the store whose newest entry is `tip`.
    fn former(&self, first: u64, tip: &Head) -> Result<Former, StoreError> {
        let Some(mark) = self.local.mark()?.filter(|mark| mark.epoch == tip.epoch) else {
            return Ok(Former::Other);
        };
        // What one relay wrote in one term is one history.
        let claims = self.claims()?;
        let one_owner = mark.term == tip.term && claims.agree(tip.term, tip.node);
        let oldest = self.ask(move |journal| async move { journal.head(first).await })?;
        let written_back = oldest.is_some_and(|head| {
            // By the relay that wrote this copy's newest batch, with all that it had.
            let by_owner = head.term > mark.term && claims.agree(mark.term, head.node);
            head.flags & RESTORING != 0 && by_owner && mark.number <= head.follows
        });
        if written_back {
            return Ok(Former::Older);
        }
        Ok(match mark.sequence < first {
            true if one_owner && mark.number <= tip.number => Former::Older,
            true => Former::PerhapsOlder,
            false => Former::Other,
        })
    }

    /// The copy is emptied, and filled from the newest snapshot.
    pub(super) fn fill_copy(&self, first: u64, tip: &Head) -> Result<Mark, StoreError> {
        self.fill_instead(self.former(first, tip)?, first)
    }

    fn fill_instead(&self, former: Former, first: u64) -> Result<Mark, StoreError> {
        let source = self.source(first)?;
        self.local.clear(former)?;
        match source {
            Some(done) => self.read_snapshot(done),
            None => Ok(Mark {
                epoch: 0,
                term: 0,
                number: 0,
                sequence: 0,
            }),
        }
    }

    /// The snapshot from which the journal goes on; `None` where the journal is whole.
    fn source(&self, first: u64) -> Result<Option<Done>, StoreError> {
        let newest = self.ask(|journal| async move { journal.newest_snapshot().await })?;
        if let Some(done) = newest {
            // The servers' disks keep journal and snapshots apart: a snapshot may outlive what it was made of.
            if self.ask(move |journal| async move { journal.has(done.mark).await })? {
                return Ok(Some(done));
            }
            let ends = self.ask(|journal| async move { journal.ends().await })?;
            if ends.first != first {
                return Err(trouble("a snapshot has just taken the journal's place"));
            }
            tracing::warn!("the cluster's snapshot is not of its journal, which went back");
        }
        match first {
            1 => Ok(None),
            _ => Err(StoreError::Damaged(
                "the journal's beginning is gone".into(),
            )),
        }
    }

    /// Applies the journal from behind `known` to `last`. An entry counts unless the one after it follows
    /// an earlier one; what lacks its last part does not count. Nothing comes after the last one:
    /// `last_counts` tells of it. `None` where `known` itself does not count.
    pub(super) fn replay(
        &self,
        known: Mark,
        last: u64,
        last_counts: &dyn Fn(&Head) -> bool,
    ) -> Result<Option<Mark>, StoreError> {
        let mut applied = known;
        let is_void = |applied: Mark, head: &Head| {
            applied == known && known.epoch == head.epoch && head.follows < known.number
        };
        let mut held: Option<(Head, u64, Vec<u8>)> = None;
        let mut open: Option<(Head, Vec<u8>)> = None;
        let mut next = known.sequence + 1;
        while next <= last {
            let from = next;
            let found =
                self.ask(move |journal| async move { journal.read_some(from, last).await })?;
            for (sequence, part) in found {
                next = sequence + 1;
                let (head, rows) = Head::parse(&part)?;
                open = match open.take() {
                    _ if head.part == 0 => Some((head, rows.to_vec())),
                    Some((begun, mut body))
                        if begun.is_of(&head) && begun.part + 1 == head.part =>
                    {
                        body.extend_from_slice(rows);
                        Some((head, body))
                    }
                    _ => None,
                };
                if head.part + 1 < head.parts {
                    continue;
                }
                let Some((head, body)) = open.take() else {
                    continue;
                };
                if let Some((before, at, rows)) = held.take()
                    && before.number <= head.follows
                {
                    if is_void(applied, &before) {
                        return Ok(None);
                    }
                    applied = self.replay_one(applied, before, at, &rows)?;
                }
                held = Some((head, sequence, body));
            }
        }
        if let Some((head, at, rows)) = held.filter(|(head, ..)| last_counts(head)) {
            if is_void(applied, &head) {
                return Ok(None);
            }
            applied = self.replay_one(applied, head, at, &rows)?;
        }
        Ok(Some(applied))
    }

    fn replay_one(
        &self,
        applied: Mark,
        head: Head,
        sequence: u64,
        rows: &[u8],
    ) -> Result<Mark, StoreError> {
        let other_store = applied.epoch != 0 && applied.epoch != head.epoch;
        if other_store || head.term < applied.term || head.follows != applied.number {
            return Err(out_of_order());
        }
        let mark = mark_of(&head, sequence);
        // An fsync for each would take minutes; what a crash undoes is read again.
        match head.number % APPLIED {
            0 => self.local.apply(rows, mark)?,
            _ => self.local.apply_later(rows, mark)?,
        }
        Ok(mark)
    }

    /// Claims the store behind `last`. A batch that the outbox has and the journal has not goes with the
    /// claim: it may have been acknowledged, and lost by the cluster.
    fn claim(
        &self,
        known: Mark,
        last: u64,
        tip: Head,
        outgoing: Option<Outgoing>,
        deadline: Instant,
    ) -> Result<Option<Mark>, StoreError> {
        let claims = self.claims()?;
        let again = outgoing.filter(|outgoing| {
            outgoing.is_behind(&known) && claims.agree(outgoing.term, self.name)
        });
        if again.is_some() {
            tracing::info!("a batch that was on its way when this relay ended is sent again");
        }
        let mut body = again.map_or_else(Vec::new, |outgoing| outgoing.body.to_vec());
        let snapshot = self.ask(|journal| async move { journal.newest_snapshot().await })?;
        let outlived = match snapshot {
            Some(done) => !self.ask(move |journal| async move { journal.has(done.mark).await })?,
            None => false,
        };
        // One of a later term than the journal is of what the servers lost: it must not stand in the way of the
        // next.
        let said = snapshot.map_or(0, |snapshot| snapshot.mark.term);
        let head = Head {
            flags: 0,
            epoch: known.epoch,
            term: tip.term.max(known.term).max(said) + 1,
            number: tip.number.max(known.number) + 1,
            follows: known.number,
            node: self.name,
            part: 0,
            parts: 1,
        };
        self.push_claim(&mut body, head.term)?;
        let Some(sequence) = self.append_claim(last, head, &body, deadline)? else {
            return Ok(None);
        };
        let mark = mark_of(&head, sequence);
        self.local.apply(&body, mark)?;
        if outlived && let Err(error) = self.write_snapshot(None) {
            tracing::warn!(%error, "no snapshot took the place of one that outlived its journal");
        }
        Ok(Some(mark))
    }

    pub(super) fn append_claim(
        &self,
        after: u64,
        head: Head,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Option<u64>, StoreError> {
        let parts = entry::parts(head, body, self.journal.part);
        self.ask(move |journal| async move {
            match journal.append(after, parts, deadline).await {
                Ok(sequence) => Ok(Some(sequence)),
                Err(AppendError::Conflict) => Ok(None),
                Err(AppendError::Unknown(why)) => Err(trouble(why)),
            }
        })
    }
}

fn out_of_order() -> StoreError {
    StoreError::Damaged("the journal's entries are not in order".into())
}

pub(super) fn mark_of(head: &Head, sequence: u64) -> Mark {
    Mark {
        epoch: head.epoch,
        term: head.term,
        number: head.number,
        sequence,
    }
}
