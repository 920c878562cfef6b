//! Links to relays over TCP.

mod backoff;
mod error;
mod handshake;
mod link;
mod places;

use tokio::sync::mpsc;

use backoff::Backoff;
pub use error::LinkError;
pub(crate) use handshake::MAX_FRAME;
pub(crate) use link::Link;
use places::Places;

/// What a link's task tells the driver.
#[derive(Debug)]
pub(crate) enum LinkInput {
    /// The handshake is done. Records to send: plaintext behind room for the length. Dropping the
    /// sender closes the link.
    Up {
        records: mpsc::UnboundedSender<Vec<u8>>,
        max_plaintext: usize,
        max_frame: usize,
    },
    /// The plaintext of a record.
    Record(Vec<u8>),
    /// A record has left.
    Written,
    /// The connection ended, or was not made.
    Down(LinkError),
}
