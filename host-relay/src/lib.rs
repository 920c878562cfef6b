//! The Hushwire relay: routes and stores ciphertext that it cannot read, and loses none of it.
//!
//! ```text
//!  client ──link──> connection ──requests──> actor ──────> relay (sans-IO: request, peer, now -> actions)
//!                   bytes, deadlines         one task         │ mailbox, directory, limits, clock
//!         <──link── <──────outbox──────────  <──answers──     │
//!                                                             v
//!                                            writer <─batch── ledger (what is committed + what is on its way)
//!                                            one fsync        │
//!                                               └──────────> store (trait; `Embedded` is one redb file)
//! ```
//!
//! [`run`] serves clients on a listener until it is told to stop; the binary adds settings
//! ([`config`]), the key file ([`key`]) and a port for metrics ([`http`]). The logic ([`relay`])
//! knows neither sockets nor threads and is tested without them. `accepted` leaves only after the
//! fsync, or after the recipient's own ack.

mod actor;
#[cfg_attr(
    not(any(feature = "websocket", feature = "tls")),
    allow(dead_code, reason = "without coats there is only TCP")
)]
mod allowance;
mod back_up;
mod clock;
mod codec;
pub mod config;
mod connection;
pub mod entrance;
mod entrances;
mod fresh;
mod guests;
mod handshake;
pub mod http;
mod inputs;
pub mod key;
mod ledger;
pub mod limits;
mod mailbox;
pub mod metrics;
#[cfg(feature = "cluster")]
mod nodes;
pub mod operator;
mod outbox;
mod rate;
pub mod relay;
pub mod request;
#[cfg(feature = "cluster")]
mod roles;
pub mod rotation;
mod seldom;
mod server;
mod shares;
#[cfg(feature = "cluster")]
mod silence;
#[cfg(feature = "simulation")]
pub mod simulation;
mod socket;
mod spare;
pub mod start;
pub mod store;
mod stored;
pub mod tally;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tools;

pub use clock::Now;
pub use server::{RunError, Service, run};
