//! The engine for a store on a NATS JetStream cluster (docs/SCALE.md).
//!
//! ```text
//! commit ──> outbox (redb, fsync) ─┐
//!    └─────> journal (R3 stream) ──┴─> both done: applied to the copy (redb), Ok
//! read ────> the copy
//! start ───> copy and journal are brought together, the store is claimed (`reconcile`)
//! ```
//!
//! A batch is one entry of a journal in which one relay at a time appends, by compare-and-set on the
//! stream's sequence (`journal`). The relay's folder has a whole copy, so reads are local; the cluster
//! has the journal and now and then a snapshot (`snapshot`), so any other relay can go on without it.
//! Where the servers sync before they acknowledge, most batches need no outbox (`local`).

mod apply;
mod claims;
mod due;
mod entry;
mod journal;
mod kept_up;
mod local;
mod node;
mod owed;
mod owner;
mod reconcile;
mod replace;
mod snapshot;
mod standby;
mod url;
mod write_back;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::due::Due;
use self::entry::Head;
use self::journal::{AppendError, Ends, PAUSE, trouble};
use self::local::{Mark, Outgoing};
use self::node::{AbortOnDrop, Node};
use self::owner::{Contact, Loss};
pub use self::replace::{ReplaceError, replace};
pub use self::standby::{Holder, Role, Standby, Word};
pub use self::url::{ClusterUrl, Login, UrlError};
use super::{Embedded, Key, Store, StoreError, Table, Walked, Write};
use crate::stored::Stored;

/// How long the cluster may be without a leader before a start, or standing by, fails.
const START: Duration = Duration::from_secs(60);
/// Where the servers sync, the copy is without an fsync for so long at most.
const SYNC: Duration = Duration::from_secs(1);

/// A store on a cluster, claimed by this process.
pub struct Cluster {
    node: Arc<Node>,
    epoch: u64,
    writing: Mutex<Writing>,
    snapshots: Arc<Due>,
    patience: Duration,
    /// What the quorum has outlives a power cut.
    servers_sync: bool,
    contact: Arc<Contact>,
    /// Set once, when this process has the store no more.
    lost: watch::Sender<Option<Loss>>,
    /// Answers those who ask who serves the store.
    answers: Mutex<Option<AbortOnDrop>>,
    /// Where the servers sync: what the copy owes the disk is paid now and then.
    _syncing: Option<AbortOnDrop>,
}

/// What the one writer knows.
struct Writing {
    /// The last batch that the cluster acknowledged.
    mark: Mark,
    /// The end of the journal: behind `mark`, where a batch that was given up has got there.
    end: u64,
    /// The highest number given. A batch that was reported as failed may be in the journal; the next one
    /// says that it does not count.
    number: u64,
}

impl Cluster {
    /// Claims the store that `url` names; `folder` has this relay's copy of it, of which `cache` bytes
    /// may be held in memory.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another relay serves the store or this folder;
    /// [`StoreError::Io`] where the cluster has no quorum for a minute.
    pub fn open(url: &ClusterUrl, folder: &Path, cache: usize) -> Result<Self, StoreError> {
        let node = Node::open(url, folder, cache)?;
        if node.ask(owner::who_serves)?.is_some() {
            return Err(StoreError::Busy);
        }
        let held = node.talk.keep(owner::hold(node.journal.clone()))?;
        let mark = node.take_over(u64::MAX, Instant::now() + START)?;
        Self::claimed(url, Arc::new(node), mark, String::new(), held)
    }

    /// `at` is where other relays call this one; who asks hears of it when `held` ends.
    fn claimed(
        url: &ClusterUrl,
        node: Arc<Node>,
        mark: Mark,
        at: String,
        held: AbortOnDrop,
    ) -> Result<Self, StoreError> {
        let epoch = node.local.epoch()?;
        // What those before left of the journal counts too: none of them may have had it for long.
        let journal = node.ask(|journal| async move { journal.ends().await });
        let journal_bytes = journal.map_or(0, |ends| ends.bytes);
        let snapshot_bytes = node.newest_snapshot_bytes().unwrap_or_default();
        let (lost, contact) = (watch::channel(None).0, Arc::new(Contact::of(mark.term)));
        let given_up = (Arc::clone(&contact), url.give_up());
        let serving = owner::serve(node.journal.clone(), at, held, given_up, lost.clone());
        let answers = node.talk.keep(serving)?;
        let syncing = url.servers_sync.then(|| sync_often(Arc::downgrade(&node)));
        let syncing = syncing.map(|syncing| node.talk.keep(syncing)).transpose()?;
        tracing::info!(
            node = node.number(),
            term = mark.term,
            batch = mark.number,
            "the store on the cluster is this relay's"
        );
        Ok(Self {
            node,
            epoch,
            writing: Mutex::new(Writing {
                mark,
                end: mark.sequence,
                number: mark.number,
            }),
            snapshots: Arc::new(Due::new(journal_bytes, snapshot_bytes, url.snapshot_bytes)),
            patience: url.patience,
            servers_sync: url.servers_sync,
            contact,
            lost,
            answers: Mutex::new(Some(answers)),
            _syncing: syncing,
        })
    }

    /// This relay's copy, for back-ups.
    pub fn copy(&self) -> Arc<Embedded> {
        self.node.local.to_back_up()
    }

    /// Why this process can do nothing more with the store, if that is so: another relay has taken it over
    /// ([`StoreError::Taken`]), or may have, for the cluster has given no answer for long
    /// ([`StoreError::CutOff`]).
    pub fn loss(&self) -> Option<StoreError> {
        self.lost.borrow().as_ref().map(Loss::error)
    }

    /// Waits until there is a [`Self::loss`].
    pub async fn lost(&self) {
        // Its sender lives as long as the store.
        let _ = self.lost.subscribe().wait_for(Option::is_some).await;
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch's mark, and whether the outbox has it.
    fn write(&self, writing: &mut Writing, body: Arc<[u8]>) -> Result<(Mark, bool), StoreError> {
        let deadline = Instant::now() + self.patience;
        writing.number += 1;
        let mark = writing.mark;
        let outgoing = Outgoing {
            term: mark.term,
            number: writing.number,
            follows: Some(mark.number),
            body: Arc::clone(&body),
        };
        let head = Head {
            flags: 0,
            epoch: self.epoch,
            term: mark.term,
            number: writing.number,
            follows: mark.number,
            node: self.node.name,
            part: 0,
            parts: 1,
        };
        let parts = entry::parts(head, &body, self.node.journal.part);
        let to_keep = !self.servers_sync || self.node.local.owes_an_fsync();
        let mut kept = false;
        loop {
            let (journal, end, parts) = (self.node.journal.clone(), writing.end, parts.clone());
            let append = async move { journal.append(end, parts, deadline).await };
            let appended = self.node.talk.start_on(append);
            // The disk works while the cluster does.
            let kept_now = match to_keep && !kept {
                true => self.node.local.send(&outgoing).map(|()| true),
                false => Ok(kept),
            };
            let appended = appended.recv().map_err(trouble)?;
            kept = kept_now?;
            match appended {
                Ok(sequence) => {
                    self.contact.answered();
                    writing.end = sequence;
                    let (term, number) = (mark.term, writing.number);
                    let mark = Mark {
                        epoch: self.epoch,
                        term,
                        number,
                        sequence,
                    };
                    return Ok((mark, kept));
                }
                Err(AppendError::Unknown(why)) => {
                    if !kept && let Err(error) = self.node.local.send(&outgoing) {
                        tracing::debug!(%error, "a batch that got no answer is not in the outbox");
                    }
                    return Err(trouble(why));
                }
                Err(AppendError::Conflict) => {
                    if !kept {
                        // What servers lose after all is given back from there.
                        self.node.local.send(&outgoing)?;
                        kept = true;
                    }
                    if let Some(mark) = self.skip_given_up(writing)? {
                        // With what the outbox had: this very batch.
                        return Ok((mark, kept));
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(trouble("no place in the journal was free in time"));
            }
        }
    }

    /// Something of ours or of another relay stands where the next entry should, or the cluster has lost what
    /// should be before it. Then this relay's disk gives it back, and the outbox's batch with it: the mark is
    /// that of the claim behind them.
    fn skip_given_up(&self, writing: &mut Writing) -> Result<Option<Mark>, StoreError> {
        let Ends { first, last, .. } = self
            .node
            .ask(|journal| async move { journal.ends().await })?;
        if !self.node.is_in_journal(&writing.mark, first)? {
            return self.write_back(writing).map(Some);
        }
        for sequence in writing.end + 1..=last {
            let head = self
                .node
                .ask(move |journal| async move { journal.head(sequence).await })?;
            let ours = |head: Head| head.node == self.node.name && head.term == writing.mark.term;
            if !head.is_some_and(ours) {
                tracing::error!("another relay has taken the store over");
                return Err(self.end(Loss::Taken));
            }
        }
        writing.end = last;
        Ok(None)
    }

    /// Whoever asks meanwhile is told that somebody has the store: a relay with an older copy would lose what is
    /// written back here. Once begun it is done, or the next start does it: nothing may be appended to what is half
    /// there.
    fn write_back(&self, writing: &mut Writing) -> Result<Mark, StoreError> {
        self.contact.claims_anew();
        let begun = Instant::now();
        let mark = loop {
            match self.node.write_back(writing.mark, begun + START) {
                Ok(Some(mark)) => break mark,
                Ok(None) => {
                    tracing::error!("another relay has taken the store over");
                    return Err(self.end(Loss::Taken));
                }
                Err(StoreError::Io(error)) if begun.elapsed() < START => {
                    tracing::debug!(%error, "the store is not written back yet");
                    std::thread::sleep(PAUSE);
                }
                Err(error) => {
                    tracing::error!(%error, "the store was not written back: this relay gives it up");
                    return Err(self.end(Loss::CutOff(begun.elapsed(), error.to_string())));
                }
            }
        };
        *writing = Writing {
            mark,
            end: mark.sequence,
            number: mark.number,
        };
        self.contact.claimed(mark.term);
        self.contact.answered();
        tracing::warn!(term = mark.term, "the cluster has all of the store again");
        Ok(mark)
    }

    /// Nothing more can be written; whoever waits for the store may have it.
    fn end(&self, loss: Loss) -> StoreError {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        drop(answers.take());
        let error = loss.error();
        loss.tell(&self.lost);
        error
    }

    fn snapshot_when_due(&self, bytes: usize) {
        if !self.snapshots.is_due(bytes as u64, self.file_bytes()) {
            return;
        }
        let (node, snapshots) = (Arc::clone(&self.node), Arc::clone(&self.snapshots));
        let writing = std::thread::Builder::new().name("snapshot".into());
        let begun = writing.spawn(move || {
            snapshots.begun();
            let written = node.write_snapshot(None).unwrap_or_else(|error| {
                tracing::warn!(%error, "no snapshot was written; the journal grows until one is");
                None
            });
            snapshots.ended(written, node.local.file_bytes());
        });
        if let Err(error) = begun {
            // Due as before: the next commit tries again.
            tracing::debug!(%error, "there is no thread for a snapshot now");
            self.snapshots.ended(None, self.file_bytes());
        }
    }
}

/// What commits leave to be synced is synced within [`SYNC`], as long as there is a store.
async fn sync_often(node: Weak<Node>) {
    loop {
        tokio::time::sleep(SYNC).await;
        let Some(node) = node.upgrade() else { return };
        let synced = tokio::task::spawn_blocking(move || node.local.sync()).await;
        if let Ok(Err(error)) = synced {
            tracing::debug!(%error, "this relay's copy was not synced");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.servers_sync
            && let Err(error) = self.node.local.sync()
        {
            tracing::warn!(%error, "this relay's copy was not synced; the cluster has what it lacks");
        }
    }
}

impl Store for Cluster {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.node.local.get(key)
    }

    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError> {
        self.node.local.walk(table, from, visit)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.node.local.count(table)
    }

    /// Of this relay's own disk: each relay bounds its own.
    fn file_bytes(&self) -> u64 {
        self.node.local.file_bytes()
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.node.local.free_bytes()
    }

    fn stored(&self) -> Option<Stored> {
        self.node.local.take_stored()
    }

    fn servers_behind(&self) -> u64 {
        self.contact.servers_behind()
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        if let Some(loss) = self.loss() {
            return Err(loss);
        }
        let body: Arc<[u8]> = entry::body(writes).into();
        let bytes = body.len();
        let mut writing = self.writing();
        let (mark, kept) = self.write(&mut writing, Arc::clone(&body))?;
        writing.mark = mark;
        if let Err(error) = self.node.local.sent(body, mark, kept) {
            // Durable it is: on the cluster, and in the outbox where it has to be. Reads come back to it.
            tracing::error!(%error, "this relay's copy met trouble");
        }
        drop(writing);
        self.snapshot_when_due(bytes);
        Ok(())
    }
}
