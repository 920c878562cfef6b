//! A bare forwarder: no link, no frames, no store. What the runtime and the kernel allow.

use std::collections::HashMap;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};

const BUFFER: usize = 64 * 1024;

/// Prints its address, and joins connections that begin with the same number.
pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut waiting = HashMap::<u32, TcpStream>::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pair = stream.read_u32().await?;
        let Some(mut other) = waiting.remove(&pair) else {
            waiting.insert(pair, stream);
            continue;
        };
        tokio::spawn(async move {
            // An end that leaves ends the pair.
            let _ = copy_bidirectional_with_sizes(&mut other, &mut stream, BUFFER, BUFFER).await;
        });
    }
}
