//! Connections that say nothing: what each costs the server in memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{Client, Target};
use crate::gauge::{resident, round};
use crate::peer::{Protocol, subscriber};

/// So long the server may need to let go what its clients no longer need.
const SETTLE: Duration = Duration::from_secs(3);

/// Clients of the relay, numbered from `first` on, that publish a bundle first where they `register`: the figures, and
/// the connections, which are open until they are dropped.
pub(crate) async fn run(
    target: &Target,
    pid: u32,
    connections: usize,
    first: u32,
    register: bool,
) -> Result<(Value, Vec<TcpStream>)> {
    measure(pid, connections, first, async |number| {
        let mut client = Client::connect(target, number, 1).await?;
        if register {
            client.register(number).await?;
        } else {
            client.read().await?;
        }
        Ok(client.stream)
    })
    .await
}

/// Recipients of a peer's, each of whom waits for what comes to its own mailbox.
pub(crate) async fn peers(
    protocol: Protocol,
    to: SocketAddr,
    pid: u32,
    connections: usize,
) -> Result<(Value, Vec<TcpStream>)> {
    measure(pid, connections, 0, async |number| {
        subscriber(protocol, to, number).await
    })
    .await
}

async fn measure(
    pid: u32,
    connections: usize,
    first: u32,
    connect: impl AsyncFn(u32) -> Result<TcpStream>,
) -> Result<(Value, Vec<TcpStream>)> {
    // What the first connections of a process allocate is not theirs.
    for number in first..first + 20 {
        drop(connect(number).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let before = resident(pid)?;
    let (began, mut open) = (Instant::now(), Vec::new());
    for number in first + 100..first + 100 + connections as u32 {
        open.push(connect(number).await?);
    }
    let took = began.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let grown = resident(pid)?.saturating_sub(before);
    let figures = json!({
        "connections": connections,
        "bytes_each": (grown as f64 / connections as f64).round(),
        "resident_before": before,
        "connects_per_second": round(connections as f64 / took, 0),
    });
    Ok((figures, open))
}
