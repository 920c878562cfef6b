//! The operator's socket: `operator.sock` in the data folder, for the relay's own user only.
//!
//! One line of words comes in (`status`, `mailbox list`, `mailbox show ADDRESS`,
//! `mailbox rm ADDRESS`), lines of JSON go out, and the stream ends. A request that cannot be done
//! is answered by one line `{"error": "..."}`.

pub mod command;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hushwire_core::identity::Address;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::actor::Input;
use crate::clock::Now;
use crate::relay::{MailboxSummary, Relay};
use crate::tally::REASONS;

/// A request and its answer may take so long.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a request.
const MAX_REQUEST: u64 = 256;

/// What the operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Status,
    List,
    Show(Address),
    Remove(Address),
}

impl Ask {
    /// From the words of a line.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        match *words {
            ["status"] => Some(Self::Status),
            ["mailbox", "list"] => Some(Self::List),
            ["mailbox", "show", address] => address.parse().ok().map(Self::Show),
            ["mailbox", "rm", address] => address.parse().ok().map(Self::Remove),
            _ => None,
        }
    }
}

/// Where the socket is.
pub fn path(data: &Path) -> PathBuf {
    data.join("operator.sock")
}

/// Opens the socket, mode 0600. The caller holds the store, so a socket that is there is a leftover.
pub fn listen(data: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let path = path(data);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves one operator at a time, until the task is dropped.
pub(crate) async fn serve(listener: UnixListener, inputs: mpsc::Sender<Input>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // An operator that goes away or dawdles is its own trouble.
        let _ = timeout(DEADLINE, answer(stream, &inputs)).await;
    }
}

async fn answer(mut stream: UnixStream, inputs: &mpsc::Sender<Input>) -> io::Result<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    BufReader::new(reader.take(MAX_REQUEST))
        .read_line(&mut line)
        .await?;
    let lines = match Ask::parse(&line) {
        None => vec![json!({"error": "unknown request, or no address: see hushwire-relay --help"})],
        Some(ask) => {
            let (reply, replied) = oneshot::channel();
            let _ = inputs.send(Input::Admin(ask, reply)).await;
            replied
                .await
                .unwrap_or_else(|_| vec![json!({"error": "the relay stops"})])
        }
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    writer.write_all(text.as_bytes()).await?;
    writer.shutdown().await
}

/// The answer, made by the logic's thread.
pub(crate) fn handle(relay: &mut Relay, ask: Ask, now: Now) -> Vec<Value> {
    match ask {
        Ask::Status => vec![status(relay)],
        Ask::List => relay.list_mailboxes(now).iter().map(line).collect(),
        Ask::Show(address) => vec![match relay.show_mailbox(address, now) {
            Ok(Some(mailbox)) => line(&mailbox),
            Ok(None) => json!({"error": "this identity is not registered here"}),
            Err(error) => json!({"error": error.to_string()}),
        }],
        Ask::Remove(address) => {
            vec![json!({"address": address.to_string(), "removed": relay.empty_mailbox(address)})]
        }
    }
}

fn line(mailbox: &MailboxSummary) -> Value {
    json!({
        "address": mailbox.address.to_string(),
        "messages": mailbox.messages,
        "bytes": mailbox.bytes,
        "oldest_seconds": mailbox.oldest_s,
        "connected": mailbox.is_connected,
    })
}

fn status(relay: &Relay) -> Value {
    let tally = relay.tally();
    let refused: serde_json::Map<_, _> = REASONS
        .iter()
        .zip(tally.refused)
        .map(|((_, name), count)| ((*name).to_owned(), count.into()))
        .collect();
    let keys = relay.keys.iter();
    let keys = keys.map(|key| json!({"key": key.public, "until_unix_s": key.until_unix_s}));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "keys": keys.collect::<Vec<_>>(),
        "connections": tally.connections,
        "accounts": tally.accounts,
        "mailboxes": tally.mailboxes,
        "stored_messages": tally.stored_messages,
        "stored_bytes": tally.stored_bytes,
        "oldest_seconds": tally.oldest_message_s,
        "backlog_bytes": tally.backlog_bytes,
        "failed_commits": tally.failed_commits,
        "refused": refused,
    })
}
