//! People whose relay is a cluster: three relays and three NATS servers as processes. Without the
//! servers' program these tests fail: `cargo xtask setup`.

#[path = "../common/mod.rs"]
mod common;
mod fleet;
mod kills;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../../../host-relay/tests/cluster/nats.rs"]
mod nats;
#[path = "../program/mod.rs"]
mod program;
mod talk;

/// Not a test: one of the relays, as a process of its own.
#[test]
#[ignore = "the other test starts it"]
fn relay_program() {
    program::relay::become_relay();
}
