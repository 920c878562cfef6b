//! Relays that serve one store together (docs/SCALE.md).
//!
//! ```text
//!  client ──link──> front (any relay) ──trunk──> host (the relay that has the store)
//!                   handshake, records,           parses requests, asks the one logic
//!                   sockets, slow readers         that serves its own clients too
//! ```
//!
//! One relay at a time has the store. Every other one is a node without state: it takes clients, ends their
//! links, and passes what they ask to the owner over one TCP connection, the *trunk*. A trunk is a
//! link like any other (Noise XK), in which both sides prove that they have the key file of these
//! relays. It is ordered and reliable, so nothing is counted or repeated here: when it breaks, the
//! clients that came over it are closed and come again, as after any lost connection, and every
//! request of theirs is idempotent.

mod front;
mod host;
mod item;
mod trunk;

use std::time::Duration;

pub(crate) use front::{Front, front};
pub(crate) use host::Host;
pub(crate) use trunk::{Trunk, TrunkError};

/// Between two signs of life on a trunk.
const BEAT: Duration = Duration::from_millis(500);
/// Whoever says nothing for so long hangs, or is out of reach.
const SILENCE: Duration = Duration::from_secs(4);
/// From a connection to a trunk.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Chunks that wait to be written on a trunk; who makes more waits.
const CHUNKS: usize = 16;
/// Relays that one owner serves. Each costs a task and its buffers.
const MOST: usize = 64;
/// Callers, in all and from one address, that have not proved yet that they are relays.
const STRANGERS: usize = 256;
const STRANGERS_PER_IP: u32 = 8;

/// Returns when the relay stops, whose sender outlives who waits.
async fn stopped(stopping: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stops| *stops).await;
}
