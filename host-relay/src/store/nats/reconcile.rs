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
use super::journal::{AppendError, PAUSE, trouble};
use super::local::{Former, Mark, Outgoing};
use super::node::Node;
use super::owner;
use crate::store::{Key, StoreError, Table};

/// A claim is tried again when somebody else's entry came first.
const CLAIMS: u32 = 5;
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
        let (first, last) = self.ask(|journal| async move { journal.ends().await })?;
        let mark = self.local.mark()?;
        if last == 0 {
            let orphan = self.ask(|journal| async move { journal.newest_snapshot().await })?;
            if orphan.is_some() && mark.is_none() {
                let what = "the cluster has a snapshot, and no journal";
                return Err(StoreError::Damaged(what.into()));
            }
            return self.restore_cluster(0, mark, None, deadline);
        }

        let tip = self.tip(last)?;
        if tip.term > seen && tip.node != self.name {
            return Err(StoreError::Busy);
        }
        let restoring = tip.flags & RESTORING != 0;
        if restoring && tip.node != self.name {
            return Err(StoreError::WritingBack(tip.node));
        }
        let ours = self.claims()?.agree(tip.term, tip.node);
        let ahead = mark.is_some_and(|mark| {
            let past = ours && tip.term <= mark.term && tip.number <= mark.number;
            mark.epoch == tip.epoch && last < mark.sequence && past
        });
        if ahead || restoring {
            return self.restore_cluster(last, mark, Some(tip), deadline);
        }

        let outgoing = self.local.outgoing()?;
        let known = match mark {
            Some(mark) if mark.epoch == tip.epoch && self.is_in_journal(&mark, first)? => mark,
            _ => self.fill_copy(first, &tip)?,
        };
        // The outbox tells of the last entry what an entry behind it would have told.
        let known = self.replay(known, last, &|head| {
            let given_up = outgoing.as_ref().is_some_and(|out| {
                out.term == head.term && head.node == self.name && out.gave_up(head.number)
            });
            !given_up
        })?;
        self.claim(known, last, tip, outgoing, deadline)
    }

    /// Makes this copy the store, whatever the cluster has. Copies of other relays, whose epoch is
    /// another, are set aside when they next look.
    ///
    /// # Errors
    /// [`StoreError::Io`] where somebody goes on writing, or the cluster has no quorum.
    pub(super) fn replace_cluster(&self, deadline: Instant) -> Result<(), StoreError> {
        for _ in 0..CLAIMS {
            let (_, last) = self.ask(|journal| async move { journal.ends().await })?;
            let tip = match last {
                0 => None,
                last => Some(self.tip(last)?),
            };
            if self.restore_cluster(last, None, tip, deadline)?.is_some() {
                return Ok(());
            }
        }
        Err(trouble(
            "another relay writes to it; stop that one and try again",
        ))
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
        Ok(there.is_some_and(|head| {
            (head.term, head.number) == (mark.term, mark.number)
                && claims.agree(head.term, head.node)
        }))
    }

    fn claims(&self) -> Result<Claims, StoreError> {
        Claims::parse(self.local.get(&CLAIMED)?.as_deref())
    }

    /// A claim's own row, for its body.
    fn push_claim(&self, body: &mut Vec<u8>, term: u64) -> Result<(), StoreError> {
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
        let one_owner = mark.term == tip.term && self.claims()?.agree(tip.term, tip.node);
        Ok(match mark.sequence < first {
            true if one_owner && mark.number <= tip.number => Former::Older,
            true => Former::PerhapsOlder,
            false => Former::Other,
        })
    }

    /// The copy is emptied, and filled from the newest snapshot.
    pub(super) fn fill_copy(&self, first: u64, tip: &Head) -> Result<Mark, StoreError> {
        self.local.clear(self.former(first, tip)?)?;
        let newest = self.ask(|journal| async move { journal.newest_snapshot().await })?;
        match newest {
            Some(done) => self.read_snapshot(done),
            None if first == 1 => Ok(Mark {
                epoch: 0,
                term: 0,
                number: 0,
                sequence: 0,
            }),
            None => Err(StoreError::Damaged(
                "the journal's beginning is gone".into(),
            )),
        }
    }

    /// Applies the journal from behind `known` to `last`. An entry counts unless the one after it follows
    /// an earlier one; what lacks its last part does not count. Nothing comes after the last one:
    /// `last_counts` tells of it.
    pub(super) fn replay(
        &self,
        known: Mark,
        last: u64,
        last_counts: &dyn Fn(&Head) -> bool,
    ) -> Result<Mark, StoreError> {
        let mut applied = known;
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
                    applied = self.replay_one(applied, before, at, &rows)?;
                }
                held = Some((head, sequence, body));
            }
        }
        if let Some((head, at, rows)) = held.filter(|(head, ..)| last_counts(head)) {
            applied = self.replay_one(applied, head, at, &rows)?;
        }
        Ok(applied)
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
            return Err(StoreError::Damaged(
                "the journal's entries are not in order".into(),
            ));
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
        let head = Head {
            flags: 0,
            epoch: known.epoch,
            term: tip.term.max(known.term) + 1,
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
        Ok(Some(mark))
    }

    /// This copy is the truth: the cluster gets it whole. Until it has it, nobody else can go on.
    fn restore_cluster(
        &self,
        last: u64,
        mark: Option<Mark>,
        tip: Option<Head>,
        deadline: Instant,
    ) -> Result<Option<Mark>, StoreError> {
        let epoch = self.local.epoch()?;
        let number = mark.map_or(0, |mark| mark.number);
        let mut head = Head {
            flags: RESTORING,
            epoch,
            term: mark
                .map_or(0, |mark| mark.term)
                .max(tip.map_or(0, |tip| tip.term))
                + 1,
            number: number.max(tip.map_or(0, |tip| tip.number)) + 1,
            follows: number,
            node: self.name,
            part: 0,
            parts: 1,
        };
        // Said to have been sent, and perhaps not applied yet when the power went.
        if let (Some(mark), Some(out)) = (mark, self.local.outgoing()?)
            && out.is_behind(&mark)
        {
            let number = out.number;
            self.local.apply(&out.body, Mark { number, ..mark })?;
            head.number = head.number.max(number + 1);
        }
        // A new store needs no snapshot, unless there is one of another that it takes the place of.
        let is_new = self.local.is_empty()? && mark.is_none() && tip.is_none();
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
        if !is_new {
            self.write_snapshot(Some(mark_of(&head, sequence)))?;
        }

        // Now the cluster has everything; the next entry says so, with the rows of a new store.
        let mut body = Vec::new();
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

    fn append_claim(
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

fn mark_of(head: &Head, sequence: u64) -> Mark {
    Mark {
        epoch: head.epoch,
        term: head.term,
        number: head.number,
        sequence,
    }
}
