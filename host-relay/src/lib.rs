//! The Hushwire relay: routes and stores what it cannot read.

mod clock;
mod ledger;
pub mod limits;
mod mailbox;
mod rate;
pub mod relay;
pub mod request;
pub mod store;
pub mod tally;

pub use clock::Now;
