//! The load generator of `cargo xtask bench relay`: many clients on one thread, for one core.
//!
//! It speaks the link and the frames with `hushwire-core` and nothing above: envelopes are opaque
//! bytes that were made and hashed beforehand, so that the generator is not the bound. Where it is,
//! its own share of CPU time says so. It ends by printing one JSON object.
//!
//! ```text
//! main ── pairs    senders and recipients who are there ─┐
//!      ├─ durable  senders to recipients who are away ───┤
//!      ├─ idle     connections that say nothing ─────────┼── client ── wire (link or plain)
//!      ├─ forwarder  the other end of `--plain`          └── gauge, times, envelopes
//!      └─ peer     pairs or durable, through another server that speaks its own protocol
//! ```

mod cipher;
mod client;
mod durable;
mod envelopes;
mod forwarder;
mod gauge;
mod idle;
mod pairs;
mod peer;
mod times;
mod wire;

use std::net::SocketAddr;

use anyhow::Result;
use clap::{Parser, Subcommand};

use client::Target;
use peer::Protocol;

#[derive(Parser)]
#[command(about = "Loads a running hushwire-relay")]
struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(clap::Args)]
struct Load {
    /// The relay's URL, or the forwarder's or the peer's address and port.
    #[arg(long)]
    to: String,
    /// The process that is measured.
    #[arg(long)]
    pid: u32,
    /// Other processes that do a part of the work.
    #[arg(long)]
    also: Vec<u32>,
    /// How long the figure is taken; half a second before it is not.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Messages of one sender that may be under way.
    #[arg(long, default_value_t = 64)]
    window: usize,
    /// Bytes of an envelope.
    #[arg(long, default_value_t = 256)]
    payload: usize,
}

#[derive(Subcommand)]
enum Scenario {
    /// Pairs of a sender and a recipient who is there and acks.
    Pairs {
        #[command(flatten)]
        load: Load,
        /// How many pairs.
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Messages a second of all pairs together, evenly spread; 0 for as many as go.
        #[arg(long, default_value_t = 0)]
        rate: u64,
        /// Speak to the bare forwarder: the same frames without a link.
        #[arg(long)]
        plain: bool,
    },
    /// Senders to recipients who are away: each `accepted` follows an fsync.
    Durable {
        #[command(flatten)]
        load: Load,
        /// How many senders.
        #[arg(long, default_value_t = 50)]
        senders: usize,
        /// Mailboxes that they write to in turn.
        #[arg(long, default_value_t = 1000)]
        mailboxes: usize,
        /// End when so many are stored, whatever the time.
        #[arg(long)]
        messages: Option<u64>,
    },
    /// Connections that say nothing.
    Idle {
        /// The relay's URL, or a peer's address and port.
        #[arg(long)]
        to: String,
        /// The process that is measured.
        #[arg(long)]
        pid: u32,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// The number of the first identity.
        #[arg(long, default_value_t = 0)]
        first: u32,
        /// Each publishes a bundle first, so that others may write to it.
        #[arg(long)]
        register: bool,
        /// Recipients of a peer in place of the relay's clients: what they speak.
        #[arg(long)]
        peer: Option<Protocol>,
        /// Keep them open until the standard input ends.
        #[arg(long)]
        hold: bool,
    },
    /// The work of `pairs` or `durable` through another server, in its own protocol.
    Peer {
        /// What it speaks.
        protocol: Protocol,
        #[command(flatten)]
        load: Load,
        /// How many pairs.
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Recipients are away: the work of `durable`.
        #[arg(long)]
        durable: bool,
        /// How many senders, where recipients are away.
        #[arg(long, default_value_t = 50)]
        senders: usize,
        /// Mailboxes that they write to in turn.
        #[arg(long, default_value_t = 1000)]
        mailboxes: usize,
    },
    /// Forwards bytes between the two ends of each pair, and does nothing else.
    Forwarder,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let figures = match Args::parse().scenario {
        Scenario::Pairs {
            load,
            pairs,
            rate,
            plain: true,
        } => pairs::plain(load.to.parse::<SocketAddr>()?, &load, pairs, rate).await?,
        Scenario::Pairs {
            load, pairs, rate, ..
        } => pairs::linked(&Target::parse(&load.to)?, &load, pairs, rate).await?,
        Scenario::Durable {
            load,
            senders,
            mailboxes,
            messages,
        } => {
            let to = Target::parse(&load.to)?;
            durable::run(&to, &load, senders, mailboxes, messages).await?
        }
        Scenario::Idle {
            to,
            pid,
            connections,
            first,
            register,
            peer,
            hold,
        } => {
            let (figures, _open) = match peer {
                Some(protocol) => {
                    idle::peers(protocol, to.parse::<SocketAddr>()?, pid, connections).await?
                }
                None => {
                    let to = Target::parse(&to)?;
                    idle::run(&to, pid, connections, first, register).await?
                }
            };
            println!("{figures}");
            if hold {
                std::io::stdin().read_line(&mut String::new())?;
            }
            return Ok(());
        }
        Scenario::Peer {
            protocol,
            load,
            senders,
            mailboxes,
            durable: true,
            ..
        } => peer::durable(protocol, &load, senders, mailboxes).await?,
        Scenario::Peer {
            protocol,
            load,
            pairs,
            ..
        } => peer::online(protocol, &load, pairs).await?,
        Scenario::Forwarder => return forwarder::run().await,
    };
    println!("{figures}");
    Ok(())
}
