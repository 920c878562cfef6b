//! Other servers on the same work: what `--peers` of `cargo xtask bench relay` loads.
//!
//! Each protocol is spoken by hand, only as far as the work needs it: bytes are appended to one
//! buffer and parsed from another, and no message allocates. Nothing is encrypted.
//!
//! ```text
//!   online   pairs, the recipient is there ──┐                ┌── nats   (core, JetStream)
//!   durable  the recipients are away ────────┴── connection ──┼── mqtt   (QoS 0 and 1)
//!                                                  (Wire)     └── redis  (pub/sub, streams)
//! ```

mod connection;
mod durable;
mod mqtt;
mod nats;
mod online;
mod redis;

use std::net::SocketAddr;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Load;
use connection::{Connection, Wire};

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// NATS core: nothing is acknowledged.
    Nats,
    /// Messages into a NATS stream in files, each acknowledged.
    Jetstream,
    /// MQTT 3.1.1, at most once.
    Mqtt0,
    /// MQTT 3.1.1, at least once: acknowledged on both sides.
    Mqtt1,
    /// Redis PUBLISH and SUBSCRIBE.
    RedisPubsub,
    /// Redis XADD, XREAD and XDEL.
    RedisStreams,
}

/// Which part a connection has in the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Writes; each sender has its own number.
    Sender(u32),
    /// Reads the mailbox with this number.
    Recipient(u32),
    /// Makes the mailbox with this number, and leaves.
    Away(u32),
}

impl Protocol {
    fn wire(self, role: Role) -> Box<dyn Wire> {
        match self {
            Self::Nats => Box::new(nats::Nats::new(role, false)),
            Self::Jetstream => Box::new(nats::Nats::new(role, true)),
            Self::Mqtt0 => Box::new(mqtt::Mqtt::new(role, 0)),
            Self::Mqtt1 => Box::new(mqtt::Mqtt::new(role, 1)),
            Self::RedisPubsub => Box::new(redis::Redis::new(role, redis::Kind::Pubsub)),
            Self::RedisStreams => Box::new(redis::Redis::new(role, redis::Kind::Streams)),
        }
    }

    /// Whether the server answers each message of a sender.
    fn answers(self) -> bool {
        !matches!(self, Self::Nats | Self::Mqtt0)
    }

    /// How many of so many mailboxes must be made before senders may write to them.
    fn made(self, mailboxes: usize) -> usize {
        match self {
            // A subscriber each.
            Self::Mqtt1 => mailboxes,
            // One stream has them all.
            Self::Jetstream => 1,
            _ => 0,
        }
    }
}

/// A recipient who waits, without what the work would need beside it.
pub(crate) async fn subscriber(
    protocol: Protocol,
    to: SocketAddr,
    number: u32,
) -> Result<TcpStream> {
    let connection = Connection::open(to, protocol, Role::Recipient(number)).await?;
    Ok(connection.into_stream())
}

/// Pairs whose recipients are there.
pub(crate) async fn online(protocol: Protocol, load: &Load, pairs: usize) -> Result<Value> {
    online::run(protocol, load.to.parse::<SocketAddr>()?, load, pairs).await
}

/// Senders to mailboxes whose owners are away.
pub(crate) async fn durable(
    protocol: Protocol,
    load: &Load,
    senders: usize,
    mailboxes: usize,
) -> Result<Value> {
    let to = load.to.parse::<SocketAddr>()?;
    durable::run(protocol, to, load, senders, mailboxes).await
}
