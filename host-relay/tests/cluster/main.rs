//! The relay's store on a cluster of three NATS servers. Without `nats-server` these tests fail:
//! `apt-get install nats-server`.

#[path = "../store/promises.rs"]
mod promises;

mod contract;
mod losses;
mod nats;
