//! Connections that say nothing: what each costs the relay in memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{Client, Target};
use crate::gauge::{resident, round};

/// So long the relay may need to let go what its clients no longer need.
const SETTLE: Duration = Duration::from_secs(3);

/// The figures, and the connections, which are open until they are dropped. Identities are numbered from
/// `first` on.
pub(crate) async fn run(
    target: &Target,
    pid: u32,
    connections: usize,
    first: u32,
) -> Result<(Value, Vec<TcpStream>)> {
    // What the first connections of a process allocate is not theirs.
    for number in first..first + 20 {
        drop(Client::connect(target, number, 1).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let before = resident(pid)?;
    let (began, mut clients) = (Instant::now(), Vec::new());
    for number in first + 100..first + 100 + connections as u32 {
        let mut client = Client::connect(target, number, 1).await?;
        client.read().await?;
        clients.push(client.stream);
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
    Ok((figures, clients))
}
