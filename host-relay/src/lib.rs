//! The Hushwire relay: routes and stores what it cannot read.

mod actor;
mod clock;
mod codec;
pub mod config;
pub mod http;
pub mod key;
mod ledger;
pub mod limits;
mod mailbox;
pub mod metrics;
mod outbox;
mod rate;
pub mod relay;
pub mod request;
pub mod store;
pub mod tally;

pub use clock::Now;
