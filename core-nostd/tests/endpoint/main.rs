//! What holds for sessions and endpoints without an attacker. One binary: what they have in common is
//! compiled once.

#[path = "../common/mod.rs"]
mod common;

mod journal;
mod links_apart;
mod no_echo;
mod own_size;
mod persist_order;
mod restart_rules;
mod session;
mod small_queue;
mod starts_counted;
mod whole;
