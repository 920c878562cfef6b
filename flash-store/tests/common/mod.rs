//! Real endpoints on a flash that fails, and the relay of the core's own tests between them.
#![allow(unreachable_pub, reason = "a module of several test binaries")]
#![allow(
    dead_code,
    reason = "each test file uses the part of the harness that it needs"
)]

pub mod attacker;
pub mod device;
pub mod flash;
pub mod mirror;
pub mod node;
pub mod script;
#[path = "../../../core-nostd/tests/common/world.rs"]
pub mod world;

/// A figure of a scaled-down run: its everyday value, or what the environment says.
pub fn size(name: &str, everyday: u64) -> u64 {
    std::env::var(name).map_or(everyday, |text| text.parse().unwrap())
}
