//! How many messages a second one relay takes, link-encrypted and acknowledged, on this machine.
//!
//! Relay and load run in this one process and share its cores, so the figures are a lower bound.
//! Idle connections' memory; then 256-byte envelopes stored for recipients who are away (each
//! `accepted` after an fsync), and delivered to recipients who are there and ack.
//!
//! `cargo run --release -p hushwire-relay --example relay_load`

#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::request::Request;
use hushwire_relay::key::RelayKey;
use hushwire_relay::limits::Limits;
use hushwire_relay::metrics::Metrics;
use hushwire_relay::store::Embedded;
use hushwire_relay::{Service, run};
use support::{Client, Result, Target, address_of, link_limits, public_key};
use tokio::net::TcpListener;

const SENDERS: u16 = 50;
const MAILBOXES: u16 = 500;
const OUTSTANDING: usize = 64;
const STORED: u32 = 4_000;
const ONLINE: u32 = 4_000;
const IDLE: u16 = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let key = RelayKey::load_or_create(&folder.path().join("relay.key"))?;
    let store = Arc::new(Embedded::open(folder.path(), 1 << 28)?);
    let metrics = Arc::new(Metrics::new()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = Target {
        address: listener.local_addr()?,
        key: public_key(&key.public()),
    };
    let limits = Limits {
        mailbox_messages: 4_000,
        mailbox_bytes: 1 << 30,
        sender_share: 1,
        submit_rate: 1_000_000,
        submit_burst: 1_000_000,
        request_burst: 1_000_000,
        outbox_frames: 4_096,
        ..Limits::default()
    };
    let service = Service {
        store,
        key,
        limits,
        metrics: Arc::clone(&metrics),
    };
    tokio::spawn(run(listener, service, std::future::pending()));

    idle(&target).await?;
    println!("making {MAILBOXES} mailboxes");
    for seed in 0..MAILBOXES {
        Client::connect(&target, 1_000 + seed)
            .await?
            .register()
            .await?;
    }
    stored(&target).await?;
    online(&target).await?;
    for line in metrics
        .render()
        .lines()
        .filter(|line| line.contains("commit_"))
    {
        println!("{line}");
    }
    Ok(())
}

/// Fifty senders, 64 submits of each on their way, to mailboxes whose owners are away.
async fn stored(target: &Target) -> Result<()> {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for seed in 0..SENDERS {
        let mut sender = Client::connect(target, seed).await?;
        tasks.push(tokio::spawn(async move {
            let to = |n: u32| address_of_mailbox((n + u32::from(seed)) % u32::from(MAILBOXES));
            send_all(&mut sender, seed, STORED, to).await
        }));
    }
    for task in tasks {
        task.await??;
    }
    report(
        "stored for who is away, accepted after fsync",
        u32::from(SENDERS) * STORED,
        began.elapsed(),
    );
    Ok(())
}

fn address_of_mailbox(n: u32) -> Address {
    use std::sync::OnceLock;
    static KNOWN: OnceLock<Vec<Address>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        (0..MAILBOXES)
            .map(|seed| address_of(1_000 + seed))
            .collect()
    })[n as usize]
}

/// Fifty pairs; each recipient acks what it gets.
async fn online(target: &Target) -> Result<()> {
    let mut tasks = Vec::new();
    let mut senders = Vec::new();
    for seed in 0..SENDERS {
        let (from, to) = (20_000 + seed, 30_000 + seed);
        let mut recipient = Client::connect_with(target, to, link_limits(64)).await?;
        recipient.register().await?;
        senders.push((Client::connect(target, from).await?, seed, address_of(to)));
        tasks.push(tokio::spawn(async move {
            for _ in 0..ONLINE {
                let (_, envelope) = recipient.delivery().await?;
                recipient
                    .send(&Request::Ack(EnvelopeId::of(&envelope)))
                    .await?;
            }
            recipient.ping().await
        }));
    }
    let began = Instant::now();
    for (mut sender, seed, to) in senders {
        tasks.push(tokio::spawn(async move {
            send_all(&mut sender, seed, ONLINE, |_| to).await
        }));
    }
    for task in tasks {
        task.await??;
    }
    report(
        "delivered to who is there, and acked",
        u32::from(SENDERS) * ONLINE,
        began.elapsed(),
    );
    Ok(())
}

async fn send_all(
    sender: &mut Client,
    seed: u16,
    count: u32,
    to: impl Fn(u32) -> Address,
) -> Result<()> {
    let (mut sent, mut accepted) = (0, 0);
    while accepted < count {
        let room = OUTSTANDING - (sent - accepted) as usize;
        let batch = (room as u32).min(count - sent);
        if batch >= OUTSTANDING as u32 / 4 || (batch > 0 && sent + batch == count) {
            let envelopes: Vec<_> = (sent..sent + batch)
                .map(|n| {
                    let mut envelope = [0x5a; 256];
                    envelope[..2].copy_from_slice(&seed.to_be_bytes());
                    envelope[2..6].copy_from_slice(&n.to_be_bytes());
                    (to(n), envelope)
                })
                .collect();
            let requests: Vec<_> = envelopes
                .iter()
                .map(|(to, envelope)| Request::Submit { to: *to, envelope })
                .collect();
            sender.send_all(&requests).await?;
            sent += batch;
        }
        sender
            .wait(|answer| match answer {
                Answer::Accepted(_) => Some(Ok(())),
                Answer::Rejected { reason, .. } => Some(Err(reason.to_string())),
                _ => None,
            })
            .await??;
        accepted += 1;
    }
    Ok(())
}

/// What a thousand idle connections cost, link state included: both ends are in this process.
async fn idle(target: &Target) -> Result<()> {
    // What the first connections of a process allocate is not theirs.
    drop(Client::connect(target, 39_999).await?);
    let before = resident()?;
    let mut clients = Vec::new();
    for seed in 0..IDLE {
        clients.push(Client::connect(target, 40_000 + seed).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = resident()?.saturating_sub(before) / usize::from(IDLE);
    println!("idle connections: {each} bytes each, the client's end included");
    Ok(())
}

fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap_or_default();
    let kib: usize = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kib * 1024)
}

fn report(what: &str, messages: u32, took: Duration) {
    let rate = f64::from(messages) / took.as_secs_f64();
    println!(
        "{what}: {messages} messages in {:.2} s, {rate:.0} a second",
        took.as_secs_f64()
    );
}
