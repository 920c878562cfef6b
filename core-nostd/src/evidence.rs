//! Evidence that state was stored: what a sealed message and an ack are exchanged for.
//!
//! Two orders never swap: persist before send, and persist before ack. [`Persisted`] is lent to a
//! closure right after a commit and cannot be kept, so bytes made later cannot leave on it.

/// State was committed to storage just now. Only [`after`] lends one.
#[derive(Debug)]
pub struct Persisted(());

/// Runs `commit` on `store`, and on success lends its evidence to `release`.
///
/// `commit` must return `Ok` only once everything staged so far survives a loss of power.
///
/// # Errors
/// Those of `commit`: nothing is released.
pub fn after<S: ?Sized, T, E>(
    store: &mut S,
    commit: impl FnOnce(&mut S) -> Result<(), E>,
    release: impl FnOnce(&mut S, &Persisted) -> T,
) -> Result<T, E> {
    commit(store)?;
    Ok(release(store, &Persisted(())))
}
