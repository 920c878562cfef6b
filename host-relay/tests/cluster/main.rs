//! The relay's store on a cluster of three NATS servers, Debian's and those of today. Without them these tests
//! fail: `cargo xtask setup`.

#[path = "../logic/mod.rs"]
mod logic;
#[path = "../process/process.rs"]
mod process;
#[path = "../store/promises.rs"]
mod promises;
#[path = "../support/mod.rs"]
mod support;

mod contract;
mod cut_off;
mod engine;
mod kills;
mod losses;
mod nats;
mod nodes;
mod power;
mod program;
mod snapshots;
mod synced;
