//! The relay's decisions over a store in memory. `store` and `cluster` have the same tests over theirs.

mod engine;
#[path = "mod.rs"]
mod logic;
