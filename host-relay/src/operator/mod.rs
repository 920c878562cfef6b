//! The operator's socket: `operator.sock` in the data folder, for the relay's own user only.
//!
//! One line of words comes in (`status`, `mailbox list`, `backup FOLDER`, ... as `Ask` lists
//! them), lines of JSON go out, then an empty line: without that the answer was cut off. A request that cannot be
//! done is answered by one line `{"error": "..."}`. What changes the store is answered when the change is durable.

mod answer;
pub(crate) mod command;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hushwire_core::identity::Address;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actor::Input;

pub(crate) use answer::{handle, not_durable};

/// A request may take so long to come, and its answer too; a back-up takes its time.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a request: its longest word is a path.
const MAX_REQUEST: u64 = 8 * 1024;
/// Operators that are served at once.
const OPERATORS: usize = 8;

/// Copies store and key into a new folder, and says what was done, or why it was not.
pub type BackUp = Arc<dyn Fn(&Path) -> Result<String, String> + Send + Sync>;

/// The operator's door to a relay.
pub struct Door {
    /// See [`listen`].
    pub listener: UnixListener,
    /// What `backup` does.
    pub back_up: BackUp,
}

/// What the operator asks the logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Status,
    List,
    Show(Address),
    Remove(Address),
    /// For so many seconds, 0 for ever.
    Ban(Address, u64),
    Unban(Address),
    Bans,
    Add(Address),
    /// For so many identities and seconds, 0 for ever.
    Invite(u32, u64),
    Invites,
    Revoke(u64),
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
            ["mailbox", "ban", address, seconds] => {
                Some(Self::Ban(address.parse().ok()?, seconds.parse().ok()?))
            }
            ["mailbox", "unban", address] => address.parse().ok().map(Self::Unban),
            ["mailbox", "bans"] => Some(Self::Bans),
            ["mailbox", "add", address] => address.parse().ok().map(Self::Add),
            ["invite", "new", uses, seconds] => {
                Some(Self::Invite(uses.parse().ok()?, seconds.parse().ok()?))
            }
            ["invite", "list"] => Some(Self::Invites),
            ["invite", "revoke", number] => number.parse().ok().map(Self::Revoke),
            _ => None,
        }
    }

    /// Whether its answer has to wait for the disk.
    pub(crate) const fn changes(&self) -> bool {
        match self {
            Self::Status | Self::List | Self::Show(_) | Self::Bans | Self::Invites => false,
            Self::Remove(_)
            | Self::Ban(..)
            | Self::Unban(_)
            | Self::Add(_)
            | Self::Invite(..)
            | Self::Revoke(_) => true,
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

/// Serves operators until the task is dropped.
pub(crate) async fn serve(door: Door, inputs: mpsc::Sender<Input>) {
    let mut operators = JoinSet::new();
    loop {
        if operators.len() >= OPERATORS {
            operators.join_next().await;
        }
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            Some(_) = operators.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (inputs, back_up) = (inputs.clone(), Arc::clone(&door.back_up));
        operators.spawn(async move {
            // An operator that goes away or dawdles is its own trouble.
            let _ = answer(stream, &inputs, back_up).await;
        });
    }
}

async fn answer(
    mut stream: UnixStream,
    inputs: &mpsc::Sender<Input>,
    back_up: BackUp,
) -> io::Result<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    timeout(DEADLINE, reader.read_line(&mut line)).await??;
    let line = line.trim_end_matches('\n');
    let lines = match (line.strip_prefix("backup "), Ask::parse(line)) {
        (Some(folder), _) => vec![copy(back_up, folder.into()).await],
        (None, Some(ask)) => match timeout(DEADLINE, put(ask, inputs)).await {
            Ok(lines) => lines,
            Err(_) => vec![json!({
                "error": "the relay is too busy, or its disk too slow: what was asked may still happen"
            })],
        },
        (None, None) => vec![json!({
            "error": "unknown request, or no address: see hushwire-relay --help"
        })],
    };
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    text.push('\n');
    timeout(DEADLINE, writer.write_all(text.as_bytes())).await??;
    writer.shutdown().await
}

async fn put(ask: Ask, inputs: &mpsc::Sender<Input>) -> Vec<Value> {
    let (reply, replied) = oneshot::channel();
    let _ = inputs.send(Input::Admin(ask, reply)).await;
    replied
        .await
        .unwrap_or_else(|_| vec![json!({"error": "the relay stops"})])
}

async fn copy(back_up: BackUp, folder: PathBuf) -> Value {
    match tokio::task::spawn_blocking(move || back_up(&folder)).await {
        Ok(Ok(done)) => json!({ "done": done }),
        Ok(Err(error)) => json!({ "error": error }),
        Err(_) => json!({"error": "the back-up ended unexpectedly"}),
    }
}
