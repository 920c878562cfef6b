//! The parts of the Double Ratchet with header encryption, each by the specification's name.
//!
//! [`root`] makes chains, [`chain`] makes message keys, [`message`] spends one on a body, [`header`]
//! hides the counters, [`skipped`] keeps what came out of order. [`crate::session`] puts them together.

pub(crate) mod chain;
pub(crate) mod header;
pub(crate) mod message;
pub(crate) mod root;
pub(crate) mod skipped;
