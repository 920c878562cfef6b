//! A C program as the other party: how it is built, how it is spoken to, and what is said.

pub(crate) mod build;
pub(crate) mod party;
pub(crate) mod peer;
pub(crate) mod story;
