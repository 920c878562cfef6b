//! Snapshots: the whole store on the cluster, so that the journal before it can go.
//!
//! `hushwire.NAME.snapshot.<id>.<part>` has the rows; `hushwire.NAME.snapshot.done` names the newest
//! whole one. It changes by compare-and-set and only to a later state: a relay that was taken over
//! in the midst of a snapshot spoils nothing.

use std::time::Instant;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;

use super::START;
use super::entry::{self, Head};
use super::journal::{Journal, PAUSE, trouble};
use super::local::{Copied, Mark};
use super::node::Node;
use crate::store::StoreError;

/// The newest whole snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    id: u64,
    parts: u64,
    pub(super) mark: Mark,
    /// The sequence of the message that says so.
    said_at: u64,
}

/// Parts of a snapshot that nothing names yet.
struct Written {
    parts: u64,
    bytes: u64,
    /// The sequence of the first.
    first: u64,
    copied: Copied,
}

/// Asks again for a while where the cluster gives no answer: a large snapshot is many questions, and one server
/// that ends must not spoil it.
async fn patiently<T, F>(work: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + START;
    loop {
        match work().await {
            Err(StoreError::Io(_)) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

impl Node {
    /// Writes the local copy to the cluster and makes it the newest. Returns the bytes written, and `None`
    /// where the cluster keeps the snapshot and the journal that it has: they are later, or this copy has
    /// damaged rows, which are sound there.
    ///
    /// With `mark` this copy is the truth, that far: nothing that the cluster has goes on from there.
    pub(super) fn write_snapshot(&self, mark: Option<Mark>) -> Result<Option<u64>, StoreError> {
        let began = Instant::now();
        let before = self.newest_snapshot()?;
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|error| StoreError::Io(error.to_string()))?;
        let id = u64::from_be_bytes(id);
        let written = match self.put_snapshot(id) {
            Ok(written) if self.is_to_stand(&written, mark, before) => written,
            other => {
                // It must not fill the servers' disks. What is not removed now goes with the next snapshot.
                let removed =
                    self.ask(move |journal| async move { journal.remove_snapshot(id).await });
                if let Err(error) = removed {
                    tracing::debug!(%error, "a snapshot that does not count was not removed");
                }
                return other.map(|_| None);
            }
        };
        let Written {
            parts,
            bytes,
            first,
            copied,
        } = written;
        let mark = mark
            .or(copied.mark)
            .ok_or_else(|| trouble("a copy without a mark"))?;
        // A crash must not leave this very relay's copy behind the journal that is cut for it.
        self.local.sync()?;
        let done = Done {
            id,
            parts,
            mark,
            said_at: 0,
        };
        let instead_of = before.map_or(0, |before| before.said_at);
        let end = move |journal: Journal| {
            patiently(move || journal.clone().end_snapshot(done, instead_of, first))
        };
        if let Some(why) = self.ask(end)? {
            return Err(trouble(why));
        }
        let ms = began.elapsed().as_millis() as u64;
        tracing::info!(
            parts,
            bytes,
            ms,
            "a snapshot of the store is on the cluster"
        );
        Ok(Some(bytes))
    }

    fn put_snapshot(&self, id: u64) -> Result<Written, StoreError> {
        let (mut parts, mut bytes, mut first) = (0, 0, 0);
        let copied = self.local.bodies(self.body_bytes(), &mut |body| {
            let head = Head {
                flags: 0,
                epoch: id,
                term: 0,
                number: parts,
                follows: 0,
                node: self.name,
                part: 0,
                parts: 1,
            };
            // One row can be larger than the rest of its body by a mailbox's message: it still fits.
            let message = entry::parts(head, &body, body.len()).remove(0);
            bytes += message.len() as u64;
            let part = parts;
            parts += 1;
            let journal = self.journal.clone();
            let put = move || {
                let (journal, message) = (journal.clone(), message.clone());
                async move { journal.put_part(id, part, message).await }
            };
            // One after the other: several at once keep commits waiting.
            let put = self.ask(|_| patiently(put))?;
            if part == 0 {
                first = put;
            }
            Ok(())
        })?;
        Ok(Written {
            parts,
            bytes,
            first,
            copied,
        })
    }

    /// Of one part's rows.
    fn body_bytes(&self) -> usize {
        self.journal.part / 2
    }

    /// Bytes of the newest snapshot, or somewhat more; 0 where there is none.
    pub(super) fn newest_snapshot_bytes(&self) -> Result<u64, StoreError> {
        // Asked once: who claims a store waits for this.
        let newest = self.ask(|journal| async move { journal.newest_snapshot().await })?;
        Ok(newest.map_or(0, |done| done.parts * self.body_bytes() as u64))
    }

    fn newest_snapshot(&self) -> Result<Option<Done>, StoreError> {
        let newest = |journal: Journal| async move { journal.newest_snapshot().await };
        self.ask(move |journal| patiently(move || newest(journal.clone())))
    }

    fn is_to_stand(&self, written: &Written, mark: Option<Mark>, before: Option<Done>) -> bool {
        let damaged = written.copied.damaged;
        if damaged > 0 && mark.is_none() {
            tracing::error!(
                damaged,
                "rows of this relay's copy are damaged; no snapshot takes the journal's place. Stop this \
                 relay, move its store.redb away, and let it be filled from the cluster"
            );
            return false;
        }
        if damaged > 0 {
            tracing::error!(
                damaged,
                "rows of this relay's copy are damaged; the store goes on without them"
            );
        }
        let order = |mark: Mark| (mark.term, mark.number);
        let now = mark.or(written.copied.mark).map(order);
        before.is_none_or(|before| Some(order(before.mark)) < now)
    }

    /// Fills the local copy, which must be empty, from the newest snapshot. Returns how far that is.
    pub(super) fn read_snapshot(&self, done: Done) -> Result<Mark, StoreError> {
        for part in 0..done.parts {
            let message =
                self.ask(move |journal| async move { journal.part(done.id, part).await })?;
            let (head, rows) = Head::parse(&message)?;
            if (head.epoch, head.number) != (done.id, part) {
                return Err(StoreError::Damaged(
                    "a snapshot's parts are mixed up".into(),
                ));
            }
            self.local.fill(rows)?;
        }
        self.local.apply(&[], done.mark)?;
        Ok(done.mark)
    }
}

impl Journal {
    fn part_subject(&self, id: u64, part: u64) -> String {
        format!("hushwire.{}.snapshot.{id:016x}.{part}", self.name)
    }

    fn done_subject(&self) -> String {
        format!("hushwire.{}.snapshot.done", self.name)
    }

    async fn snapshots(&self) -> Result<async_nats::jetstream::stream::Stream<()>, StoreError> {
        let name = format!("hushwire-{}-snapshots", self.name);
        let stream = self.context.get_stream_no_info(name).await;
        stream.map_err(trouble)
    }

    /// Returns its sequence.
    async fn put_part(&self, id: u64, part: u64, message: Vec<u8>) -> Result<u64, StoreError> {
        let subject = self.part_subject(id, part);
        let sent = self.context.publish(subject, message.into()).await;
        // Said once more, a part takes the place of itself.
        let put = sent.map_err(trouble)?.await.map_err(trouble)?;
        Ok(put.sequence)
    }

    async fn part(&self, id: u64, part: u64) -> Result<Vec<u8>, StoreError> {
        let stream = self.snapshots().await?;
        let subject = self.part_subject(id, part);
        let message = stream.get_last_raw_message_by_subject(&subject);
        Ok(message.await.map_err(trouble)?.payload.to_vec())
    }

    pub(super) async fn newest_snapshot(&self) -> Result<Option<Done>, StoreError> {
        let stream = self.snapshots().await?;
        let subject = self.done_subject();
        let said = stream.get_last_raw_message_by_subject(&subject);
        let said = match said.await {
            Ok(said) => said,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                return Ok(None);
            }
            Err(error) => return Err(trouble(error)),
        };
        let parsed = said
            .payload
            .split_first_chunk::<8>()
            .and_then(|(id, rest)| {
                let (parts, mark) = rest.split_first_chunk::<8>()?;
                Some(Done {
                    id: u64::from_be_bytes(*id),
                    parts: u64::from_be_bytes(*parts),
                    mark: Mark::parse(mark)?,
                    said_at: said.sequence,
                })
            });
        let damaged = || StoreError::Damaged("its newest snapshot has no sound name".into());
        parsed.map(Some).ok_or_else(damaged)
    }

    /// Makes a snapshot the newest, and removes what it takes the place of; or says why not. Asked again, it goes
    /// on where it ended.
    async fn end_snapshot(
        self,
        done: Done,
        instead_of: u64,
        first: u64,
    ) -> Result<Option<&'static str>, StoreError> {
        if !self.has(done.mark).await? {
            return Ok(Some("the journal went back meanwhile"));
        }
        let newest = self.newest_snapshot().await?;
        if newest.is_none_or(|newest| newest.id != done.id)
            && !self.say_done(done, instead_of).await?
        {
            return Ok(Some("another relay has written a snapshot meanwhile"));
        }
        self.remove_snapshots_before(first).await?;
        // The newest message stays: it says who wrote last.
        self.forget_before(done.mark).await?;
        Ok(None)
    }

    /// Whether nobody said another one than `instead_of` meanwhile.
    async fn say_done(&self, done: Done, instead_of: u64) -> Result<bool, StoreError> {
        let mut said = Vec::new();
        said.extend(done.id.to_be_bytes());
        said.extend(done.parts.to_be_bytes());
        said.extend(done.mark.emit());
        let mut headers = HeaderMap::new();
        let expected = instead_of.to_string();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.as_str());
        let subject = self.done_subject();
        let sent = self
            .context
            .publish_with_headers(subject, headers, said.into());
        match sent.await.map_err(trouble)?.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(trouble(error)),
        }
    }

    async fn remove_snapshot(&self, id: u64) -> Result<(), StoreError> {
        let stream = self.snapshots().await?;
        let parts = format!("hushwire.{}.snapshot.{id:016x}.*", self.name);
        let removed = stream.purge().filter(parts).await;
        removed.map(drop).map_err(trouble)
    }

    /// The older ones, and what is left of those that were interrupted. Whoever writes another one at this
    /// moment finds that a newer one was said meanwhile.
    async fn remove_snapshots_before(&self, first: u64) -> Result<(), StoreError> {
        // To the servers "before the first" is "all".
        if first <= 1 {
            return Ok(());
        }
        let stream = self.snapshots().await?;
        let removed = stream.purge().sequence(first).await;
        removed.map(drop).map_err(trouble)
    }
}
