//! The store's promise on a disk that fails: a batch is durable or not there, and damage is said.

mod contract;
mod copies;
mod damage;
mod engine;
mod faults;
mod faulty_disk;
mod formats;
#[path = "../logic/mod.rs"]
mod logic;
mod making;
mod power;
mod promises;
