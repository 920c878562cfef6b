//! The program itself, started, killed and stopped like an operator's.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "websocket", feature = "tls"))]
mod certificate;
mod contrib;
mod crash;
mod disk_full;
mod operate;
mod process;
mod real_disk;
mod repair;
mod rotation;
mod start;
mod stop;
mod tools;
