//! What the relay keeps, and the promise of the engine beneath: a batch is durable or it is not
//! there.
//!
//! The trait is narrow on purpose. An engine applies a list of writes in one durable transaction
//! and answers reads of what was committed; everything with a meaning (quotas, windows, modes) is
//! above it, so another engine is a few functions.

mod copy;
mod disk;
mod embedded;
mod file;
mod key;
mod long;
#[cfg(feature = "cluster")]
pub mod nats;
pub(crate) mod record;
mod repair;
mod rows;
mod view;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use copy::{Rows, restore};
pub use embedded::Embedded;
pub use key::{Key, NameHash, Table};
pub use repair::Findings;

use crate::stored::Stored;

/// One change. Values are shared: a message waits in a batch and in an outbox at once.
#[derive(Clone, Debug)]
pub enum Write {
    /// Writes the row, over an older one.
    Put(Key, Arc<[u8]>),
    /// Removes the row; an absent one is no error.
    Delete(Key),
}

/// A durable store of the relay's rows.
///
/// Reads see what was committed. One thread commits; any may read meanwhile.
pub trait Store: Send + Sync + 'static {
    /// A random number made with the store: clients notice when another store answers.
    fn epoch(&self) -> u64;

    /// The committed row.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError>;

    /// Walks the rows of a table whose key is a number (messages, acknowledged ids), oldest first
    /// and from `from` on, until `visit` breaks. Rows that are not what was written are passed over:
    /// one bad sector does not cost every mailbox.
    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError>;

    /// How many rows the table has.
    fn count(&self, table: Table) -> Result<u64, StoreError>;

    /// Bytes of the file that holds all rows; 0 where the engine has none of its own.
    fn file_bytes(&self) -> u64 {
        0
    }

    /// Of them, those that a commit can use before the file grows; `None` where they were counted a
    /// moment ago. To count them may cost a walk over the file.
    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Servers of a cluster that should hold the newest batch, and do not or are gone.
    fn servers_behind(&self) -> u64 {
        0
    }

    /// What waits, where this engine kept up with it while another relay had the store; asked for once, before the
    /// first commit.
    #[doc(hidden)]
    fn stored(&self) -> Option<Stored> {
        None
    }

    /// Applies all of `writes`, in order, or none. When this returns `Ok` they survive a power cut.
    fn commit(&self, writes: &[Write]) -> Result<(), StoreError>;
}

/// What a walk came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Rows that were passed over.
    pub damaged: u64,
    /// The number behind that of the last row, also of one that was passed over: it is not to be written
    /// over, for another copy of the store may have it sound.
    pub next: u64,
}

/// Why the store cannot do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the file system failed: full, read-only, or broken. Worth a retry.
    #[error(
        "the store could not be read or written ({0}); check the disk's space and health, and where the store is on \
             a cluster its servers"
    )]
    Io(String),
    /// The file is damaged, or holds what this engine never writes.
    #[error(
        "the store is damaged ({0}); `hushwire-relay check` tells how much of it, and \
             `hushwire-relay restore` puts a back-up in its place. Where the store is on a cluster, look first \
             whether another relay of it serves: then this one's folder can be moved away, and is filled anew"
    )]
    Damaged(String),
    /// One row does not match its checksum; the rows around it are well.
    #[error(
        "a row of the store's table {0} was altered; see `hushwire-relay check`, and put a back-up \
         in its place with `hushwire-relay restore`"
    )]
    Altered(&'static str),
    /// A later relay wrote the store.
    #[error(
        "the store has format {found}, and this relay knows formats up to {known}; \
         start a relay at least as new as the one that wrote it"
    )]
    Newer {
        /// The version in the store.
        found: u32,
        /// The last version that this build reads.
        known: u32,
    },
    /// Another process holds the store.
    #[error("another process has the store open; stop it, or give this relay another --data")]
    Busy,
    /// Another relay, by its node number, gives the cluster back what that had lost. It has the newest rows.
    #[error(
        "another relay (node {0:016x}) is writing back what the cluster had lost; start that one \
         first, and this one when that one has the store. Do not restore a back-up: that one's disk \
         has what is newest"
    )]
    WritingBack(u64),
    /// Another relay has taken the store over: nothing that this one writes counts any more.
    #[error("another relay has taken the store over; this one can only stop")]
    Taken,
    /// The cluster has given no answer for so many seconds, and why: another relay may have the store.
    #[error(
        "the NATS cluster has given no answer for {0} s ({1}), and another relay may have taken the store \
         over; this one stops: start it again when the cluster answers"
    )]
    CutOff(u64, String),
}
