//! A relay of a store that another one may have: it asks who has it, lets its copy follow the
//! journal, and claims the store when nobody has it any more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::entry::RESTORING;
use super::node::Node;
use super::owner::Served;
use super::{Cluster, ClusterUrl, START, owner};
use crate::store::StoreError;

/// The relay that serves may be changing from a dead server of the cluster to another one: before
/// it is taken over it is asked once more, after this time.
const SURE: Duration = Duration::from_millis(500);

/// A relay's copy of a store, and its connection to the cluster.
pub struct Standby {
    node: Arc<Node>,
    url: ClusterUrl,
    /// It was said that the copy cannot follow.
    is_told: AtomicBool,
}

/// Who has the store.
pub enum Role {
    /// This relay, from now on.
    Owner(Cluster),
    /// Another one, or nobody who says where: one is about to have the store.
    Served(Option<Holder>),
}

/// The relay that has the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where its trunk is.
    pub at: String,
    term: u64,
}

/// What the cluster knows of the relay that had the store when it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It has it.
    Same,
    /// It does not answer there.
    Silent,
    /// Another relay has claimed the store since.
    Another,
}

impl Standby {
    /// Opens this relay's copy of the store that `url` names, and connects to the cluster.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process has `folder` open; [`StoreError::Io`] where the
    /// cluster gives no answer for a minute.
    pub fn open(url: &ClusterUrl, folder: &Path, cache: usize) -> Result<Self, StoreError> {
        let node = Arc::new(Node::open(url, folder, cache)?);
        tracing::info!(node = node.number(), "this relay is on the cluster");
        Ok(Self {
            node,
            url: url.clone(),
            is_told: AtomicBool::new(false),
        })
    }

    /// Who has the store; if nobody, this relay claims it, and others call it `at` that address from
    /// then on.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the cluster gave no answer: worth another look.
    pub fn look(&self, at: &str) -> Result<Role, StoreError> {
        // Whatever is claimed from here on was claimed by somebody faster.
        let seen = self.node.newest_term()?;
        for pause in [Duration::ZERO, SURE] {
            std::thread::sleep(pause);
            if let Some(Served { term, at }) = self.node.ask(owner::who_serves)? {
                // One that was taken over may answer until its next look.
                let has_it = !at.is_empty() && term >= seen;
                return Ok(Role::Served(has_it.then_some(Holder { at, term })));
            }
        }
        tracing::info!("no relay serves the store; this one takes it");
        let held = self
            .node
            .talk
            .keep(owner::hold(self.node.journal.clone()))?;
        match self.node.take_over(seen, Instant::now() + START) {
            Ok(mark) => {
                let node = Arc::clone(&self.node);
                let cluster = Cluster::claimed(&self.url, node, mark, at.to_owned(), held)?;
                Ok(Role::Owner(cluster))
            }
            // Somebody was faster.
            Err(StoreError::Busy) => Ok(Role::Served(None)),
            Err(error) => Err(error),
        }
    }

    /// Whether `holder` has the store still. A trunk to one that only the cluster cannot reach stays whole, and
    /// nothing that its successor accepts would come over it.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the cluster gave no answer: then nobody knows.
    pub fn word_of(&self, holder: &Holder) -> Result<Word, StoreError> {
        if self.node.newest_term()? > holder.term {
            return Ok(Word::Another);
        }
        Ok(match self.node.ask(owner::who_serves)? {
            Some(_) => Word::Same,
            None => Word::Silent,
        })
    }

    /// How long the relay that has the store may be silent.
    pub fn silence(&self) -> Duration {
        self.url.silence()
    }

    /// Brings the copy to the last entry but one: what comes after the last says whether that counts.
    /// One that is older than the journal is filled from the snapshot first; one that is of another history
    /// is left for the take-over to judge.
    ///
    /// # Errors
    /// [`StoreError`]; not urgent, for what is not read now is read when the store is claimed.
    pub fn follow(&self) -> Result<(), StoreError> {
        let node = &self.node;
        let (first, last) = node.ask(|journal| async move { journal.ends().await })?;
        if last == 0 {
            return Ok(());
        }
        let tip = node.tip(last)?;
        if tip.flags & RESTORING != 0 {
            return Ok(());
        }
        let known = match node.local.mark()? {
            Some(mark) if node.is_in_journal(&mark, first)? => mark,
            Some(mark) if mark.epoch == tip.epoch && mark.sequence < first => {
                node.fill_copy(first, &tip)?
            }
            None if node.local.is_half_filled()? || node.local.is_empty()? => {
                node.fill_copy(first, &tip)?
            }
            _ => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "this relay's copy is not the cluster's, and does not follow it; it is set \
                         aside when this relay takes the store"
                    );
                }
                return Ok(());
            }
        };
        node.replay(known, last, &|_| false).map(drop)
    }
}
