//! A folder and a cluster, and the thread on which they talk.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::journal::{Journal, trouble};
use super::local::Local;
use super::{ClusterUrl, START};
use crate::store::StoreError;

pub(super) struct Node {
    pub(super) journal: Journal,
    pub(super) local: Local,
    /// Random, made with the folder.
    pub(super) name: u64,
    pub(super) talk: Talk,
}

/// A runtime of the engine's own: `Store` is synchronous, and called inside other runtimes too.
pub(super) struct Talk(Option<Runtime>);

impl Talk {
    pub(super) fn start() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("nats")
            .enable_all()
            .build();
        Ok(Self(Some(runtime.map_err(trouble)?)))
    }

    /// Starts `work`; its outcome is received when it is there.
    pub(super) fn start_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (done, outcome) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.0 {
            runtime.spawn(async move {
                // Who asked may have left.
                let _ = done.send(work.await);
            });
        }
        outcome
    }

    /// Asks the cluster, and waits.
    pub(super) fn ask<T, F>(
        &self,
        journal: &Journal,
        question: impl FnOnce(Journal) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let outcome = self.start_on(question(journal.clone()));
        outcome.recv().map_err(trouble)?
    }

    /// Keeps `work` going until the handle is dropped.
    pub(super) fn keep(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<AbortOnDrop, StoreError> {
        let runtime = self.0.as_ref().ok_or_else(|| trouble("it was closed"))?;
        Ok(AbortOnDrop(runtime.spawn(work).abort_handle()))
    }
}

/// Work that ends with this handle.
pub(super) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // Waiting for it is forbidden in a runtime's own threads, where this may be dropped.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// To the cluster, which may be without a leader for a while.
pub(super) fn connect(url: &ClusterUrl) -> Result<(Talk, Journal), StoreError> {
    let (to, deadline) = (url.clone(), Instant::now() + START);
    let talk = Talk::start()?;
    let journal = talk.start_on(async move { Journal::open(&to, deadline).await });
    let journal = journal.recv().map_err(trouble)??;
    Ok((talk, journal))
}

impl Node {
    /// Opens the folder, and connects.
    pub(super) fn open(url: &ClusterUrl, folder: &Path, cache: usize) -> Result<Self, StoreError> {
        let local = Local::open(folder.to_owned(), cache)?;
        let (talk, journal) = connect(url)?;
        Self::of(local, talk, journal)
    }

    pub(super) fn of(local: Local, talk: Talk, journal: Journal) -> Result<Self, StoreError> {
        Ok(Self {
            name: local.node()?,
            journal,
            local,
            talk,
        })
    }

    /// As errors and the log have it.
    pub(super) fn number(&self) -> String {
        format!("{:016x}", self.name)
    }

    /// Asks the cluster, and waits.
    pub(super) fn ask<T, F>(&self, question: impl FnOnce(Journal) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.talk.ask(&self.journal, question)
    }
}
