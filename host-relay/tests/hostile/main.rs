//! Hostile clients: what they cost the relay, and that nobody else notices.

#[path = "../process/process.rs"]
mod process;
#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../net/relay.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;
mod victim;

mod h10_fuzz;
mod h1_endless_bytes;
#[cfg(all(feature = "websocket", feature = "tls"))]
mod h1_in_a_coat;
mod h2_lengths;
mod h3_slowloris;
mod h4_never_reads;
mod h5_churn;
mod h6_reset;
mod h7_full;
mod h8_soak;
