//! Links to relays: over TCP, or in what the relay's URL says.

mod backoff;
mod dial;
mod error;
mod handshake;
mod link;
mod places;
#[cfg(feature = "tls")]
mod tls;

use hushwire_core::crypto::PublicKey;
use tokio::sync::mpsc;

use backoff::Backoff;
pub(crate) use dial::Dialer;
pub use error::LinkError;
pub(crate) use handshake::MAX_FRAME;
pub(crate) use link::Link;
use places::Places;
#[cfg(feature = "tls")]
pub use tls::NoCertificates;
#[cfg(feature = "tls")]
pub(crate) use tls::Trust;

/// What a link's task tells the driver.
#[derive(Debug)]
pub(crate) enum LinkInput {
    /// The handshake is done. Records to send: plaintext behind room for the length. Dropping the
    /// sender closes the link.
    Up {
        /// What the relay proved to hold.
        key: PublicKey,
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
