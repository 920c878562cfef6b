//! A back-up in the place of the store that the cluster has.

use std::path::Path;
use std::time::Instant;

use super::local::Local;
use super::node::{Node, connect};
use super::{ClusterUrl, START, owner};
use crate::store::StoreError;

/// Calls `put_back`, which puts a store into `folder`, and gives the cluster that store for its own. No
/// relay may serve meanwhile; one that stands by waits, and takes the new store for its copy.
///
/// It can be done again after any failure. Once the cluster's store is being replaced, no relay but
/// one on `folder` goes on with the old one.
///
/// # Errors
/// [`StoreError::Busy`] while a relay serves the store, before anything was changed;
/// [`StoreError::Io`] where the cluster has no quorum for a minute; what `put_back` says.
pub fn replace<T, E: From<StoreError>>(
    url: &ClusterUrl,
    folder: &Path,
    cache: usize,
    put_back: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let (talk, journal) = connect(url)?;
    if talk.ask(&journal, owner::who_serves)?.is_some() {
        return Err(StoreError::Busy.into());
    }
    let _held = talk.keep(owner::hold(journal.clone()))?;
    let done = put_back()?;
    let node = Node::of(Local::open(folder.to_owned(), cache)?, talk, journal)?;
    node.replace_cluster(Instant::now() + START)?;
    Ok(done)
}
