//! A relay of a store that another one may have: it asks who has it, lets its copy follow the
//! journal, and claims the store when nobody has it any more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::entry::RESTORING;
use super::node::Node;
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
    /// Another one. There its trunk is, or nothing while it is about to have the store.
    Served(String),
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
            if let Some(served) = self.node.ask(owner::who_serves)? {
                return Ok(Role::Served(served));
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
            Err(StoreError::Busy) => Ok(Role::Served(String::new())),
            Err(error) => Err(error),
        }
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
        node.replay(known, last, false).map(drop)
    }
}
