//! A machine of its own whose power is cut: Linux as a program (user-mode Linux), with a file system on a disk of its
//! own, and everything that runs on it ended at once. What was not synced is gone with its page cache, as it is
//! where a plug is pulled.
//!
//! `cargo xtask setup` brings what they need; without it they fail.

// Linux as a program is for these alone.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../process/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "cluster")]
#[path = "../support/tools.rs"]
mod tools;

mod book;
mod inside;
mod kernel;
mod power;
