//! The relay over real connections on the loopback interface, in this process.

#[path = "../support/mod.rs"]
mod support;

mod conversation;
mod hostile;
mod relay;
mod stop;
