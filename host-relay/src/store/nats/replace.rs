//! A back-up in the place of the store that the cluster has.

use std::path::Path;
use std::time::Instant;

use super::journal::Journal;
use super::local::Local;
use super::node::{AbortOnDrop, Node, Talk, connect};
use super::{ClusterUrl, START, owner};
use crate::store::StoreError;

/// Why the cluster's store was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// A relay has it. Nothing was changed.
    #[error(
        "a relay serves the store on the cluster; stop every relay of it first. Nothing was changed"
    )]
    Served,
    /// There is one, and nobody said that it may go. Nothing was changed.
    #[error(
        "the cluster has a store of that name already; --force replaces it. Nothing was changed"
    )]
    Occupied,
    /// The cluster or the folder.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Calls `put_back`, which puts a store into `folder`, and gives the cluster that store for its own. No
/// relay may serve meanwhile; one that stands by waits, and takes the new store for its copy. One that the
/// cluster has goes only with `force`.
///
/// It can be done again after any failure. From the moment at which the cluster's store begins to be replaced
/// until that is done, no relay goes on but one on `folder`.
///
/// # Errors
/// [`ReplaceError`], with [`StoreError::Io`] inside where the cluster has no quorum for a minute; what
/// `put_back` says.
pub fn replace<T, E: From<ReplaceError>>(
    url: &ClusterUrl,
    folder: &Path,
    cache: usize,
    force: bool,
    put_back: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let (talk, journal, _held) = take_hold(url, force)?;
    let done = put_back()?;
    write(folder, cache, talk, journal)?;
    Ok(done)
}

/// Sees that the store may go; whoever asks for it then waits.
fn take_hold(url: &ClusterUrl, force: bool) -> Result<(Talk, Journal, AbortOnDrop), ReplaceError> {
    let (talk, journal) = connect(url)?;
    if talk.ask(&journal, owner::who_serves)?.is_some() {
        return Err(ReplaceError::Served);
    }
    let ends = talk.ask(&journal, |journal| async move { journal.ends().await })?;
    let snapshot = talk.ask(&journal, |journal| async move {
        journal.newest_snapshot().await
    })?;
    if (ends.last > 0 || snapshot.is_some()) && !force {
        return Err(ReplaceError::Occupied);
    }
    let held = talk.keep(owner::hold(journal.clone()))?;
    Ok((talk, journal, held))
}

fn write(folder: &Path, cache: usize, talk: Talk, journal: Journal) -> Result<(), ReplaceError> {
    let local = Local::open(folder.to_owned(), cache)?;
    let node = Node::of(local, talk, journal)?;
    Ok(node.replace_cluster(Instant::now() + START)?)
}
