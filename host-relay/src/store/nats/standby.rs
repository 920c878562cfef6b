//! A relay of a store that another one may have: it asks who has it, lets its copy follow the
//! journal, and claims the store when nobody has it any more.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::entry::RESTORING;
use super::journal::Ends;
use super::node::Node;
use super::owner::Served;
use super::{Cluster, ClusterUrl, START, owner};
use crate::silence::Silence;
use crate::store::StoreError;

/// The relay that serves may be changing from a dead server of the cluster to another one: before
/// it is taken over it is asked once more, after this time.
const SURE: Duration = Duration::from_millis(500);

/// A relay's copy of a store, and its connection to the cluster.
pub struct Standby {
    node: Arc<Node>,
    url: ClusterUrl,
    /// Nobody has the store, and the cluster has less than this copy.
    went_back: Mutex<Silence>,
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
        // What waits is known when this relay takes the store over: to read it then is a pause for everybody.
        node.local.read_stored()?;
        tracing::info!(node = node.number(), "this relay is on the cluster");
        Ok(Self {
            node,
            url: url.clone(),
            went_back: Mutex::default(),
        })
    }

    /// Who has the store; if nobody, this relay claims it, and others call it `at` that address from
    /// then on.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the cluster gave no answer: worth another look.
    pub fn look(&self, at: &str) -> Result<Role, StoreError> {
        let looked = self.try_look(at);
        if looked.is_err() {
            // The servers were away once more.
            self.went_back().ends();
        }
        looked
    }

    fn try_look(&self, at: &str) -> Result<Role, StoreError> {
        // Whatever is claimed from here on was claimed by somebody faster.
        let seen = self.node.newest_term()?;
        for pause in [Duration::ZERO, SURE] {
            std::thread::sleep(pause);
            if let Some(served) = self.served(seen)? {
                self.went_back().ends();
                return Ok(Role::Served(served));
            }
        }
        // All servers were away. The relay that has the store is coming back to them as this one is, and
        // has more to give back.
        if self.has_more_of_another()? && self.went_back().goes_on() < self.silence() {
            tracing::debug!("the cluster lost entries; the relay that had the store may come");
            return Ok(Role::Served(None));
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

    /// The relay that has the store, as far as one says so. Nothing is claimed, and this relay's copy is not asked.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the cluster gave no answer: worth another question.
    pub fn holder(&self) -> Result<Option<Holder>, StoreError> {
        let seen = self.node.newest_term()?;
        Ok(self.served(seen)?.flatten())
    }

    /// Who says that it serves the store, `None` inside where it does not say where or has claimed it before `seen`:
    /// one that was taken over may answer until its next look.
    fn served(&self, seen: u64) -> Result<Option<Option<Holder>>, StoreError> {
        let served = self.node.ask(owner::who_serves)?;
        Ok(served.map(|Served { term, at }| {
            let has_it = !at.is_empty() && term >= seen;
            has_it.then_some(Holder { at, term })
        }))
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

    /// Whether this copy, which another relay wrote, has all of the journal: it never follows the newest entry.
    fn has_more_of_another(&self) -> Result<bool, StoreError> {
        let ends = self
            .node
            .ask(|journal| async move { journal.ends().await })?;
        Ok(match self.node.local.mark()? {
            Some(mark) => ends.last <= mark.sequence && !self.node.wrote(&mark)?,
            None => false,
        })
    }

    fn went_back(&self) -> MutexGuard<'_, Silence> {
        self.went_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the relay that has the store may be silent.
    pub fn silence(&self) -> Duration {
        self.url.silence()
    }

    /// Brings the copy to the last entry but one: what comes after the last says whether that counts.
    /// One that is not in the journal is filled from the snapshot first, and set aside unless it is an older state
    /// of this very store; one that has more than the cluster is left for the take-over to judge.
    ///
    /// # Errors
    /// [`StoreError`]; not urgent, for what is not read now is read when the store is claimed.
    pub fn follow(&self) -> Result<(), StoreError> {
        let node = &self.node;
        let ends = node.ask(|journal| async move { journal.ends().await })?;
        if ends.is_empty() {
            return Ok(());
        }
        let Ends { first, last, .. } = ends;
        let tip = node.tip(last)?;
        if tip.flags & RESTORING != 0 {
            return Ok(());
        }
        let known = match node.local.mark()? {
            Some(mark) if node.is_in_journal(&mark, first)? => mark,
            // Nobody else may have what the cluster lost.
            mark if node.is_ahead(mark, last, &tip)? => return Ok(()),
            _ => node.fill_copy(first, &tip)?,
        };
        node.bring_to(ends, known, &|_| false).map(drop)
    }
}
