//! The local socket: commands of other processes, one JSON line each; answers the same way.
//!
//! It stands in the vault's folder with mode 0600: who may use it may read the vault's file anyway.
//! A connection carries one operation. Whoever closes it ends the operation.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use hushwire::Client;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    execute,
    exit::{Code, Failure},
    operation::Operation,
    reply::Reply,
};

/// Bytes of the longest line: a message of 16 KiB in hexadecimal, and room.
const MAX_LINE: u64 = 256 * 1024;
/// Bytes of a socket's path, on every system that has them.
const MAX_PATH: usize = 100;

/// The socket of a vault. `None`: its folder's path is too long for a socket.
fn path(vault: &Path) -> Option<PathBuf> {
    Some(vault.join("socket")).filter(|path| path.as_os_str().len() <= MAX_PATH)
}

/// Serves other processes until it is told to stop, then lets what runs come to its end.
pub(super) struct Server {
    path: PathBuf,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Takes the socket: the vault's lock says that nobody else has it.
    pub(super) fn start(client: &Client) -> Result<Self, Failure> {
        let too_long = || Failure::new(Code::Other, "the vault's path is too long for a socket");
        let path = path(client.folder()).ok_or_else(too_long)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        private(&path)?;
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(serve(listener, client.clone(), stopping));
        Ok(Self { path, stop, task })
    }

    /// Takes nothing more, and waits for what was begun.
    pub(super) async fn stop(self) {
        // Gone already: then nobody finds it either.
        let _ = std::fs::remove_file(&self.path);
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

async fn serve(listener: UnixListener, client: Client, stopping: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tasks.spawn(answer(stream, client.clone(), stopping.clone()));
                }
            }
            _ = stop.wait_for(|stop| *stop) => break,
            _ = tasks.join_next(), if !tasks.is_empty() => {}
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// One connection: an operation, its answers.
async fn answer(stream: UnixStream, client: Client, mut stopping: watch::Receiver<bool>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    if (&mut read)
        .take(MAX_LINE)
        .read_line(&mut line)
        .await
        .is_err()
    {
        return;
    }
    let operation: Operation = match serde_json::from_str(&line) {
        Ok(operation) => operation,
        Err(_) => {
            let failure = Failure::new(Code::Usage, "the two processes are of different versions");
            let _ = say(&mut write, &Reply::Failed(failure)).await;
            return;
        }
    };
    zeroize::Zeroize::zeroize(&mut line);
    let endless = operation.is_endless();
    let (replies, mut answers) = mpsc::channel(16);
    let run = async move {
        // Dropped with this block: then nothing more is to be told.
        let replies = replies;
        execute::run(&client, operation, &replies).await
    };
    let tell = async {
        while let Some(reply) = answers.recv().await {
            if say(&mut write, &reply).await.is_err() {
                return;
            }
        }
    };
    let mut rest = [0; 1];
    let ended = tokio::select! {
        biased;
        // The one who asked has gone.
        _ = read.read(&mut rest) => return,
        _ = stopping.wait_for(|stop| *stop && endless) => return,
        (ended, ()) = async { tokio::join!(run, tell) } => ended,
    };
    let last = ended.map_or_else(Reply::Failed, |()| Reply::End);
    // The one who asked has gone: the operation is done all the same.
    let _ = say(&mut write, &last).await;
}

async fn say(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    reply: &Reply,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Whether a process answers at the socket.
pub(super) async fn connect(vault: &Path) -> Option<UnixStream> {
    UnixStream::connect(path(vault)?).await.ok()
}

/// Hands an operation over. `None`: the other process ended before the operation did.
pub(super) async fn hand_over(
    stream: UnixStream,
    operation: &Operation,
    replies: &mpsc::Sender<Reply>,
) -> Option<Result<(), Failure>> {
    let (read, mut write) = stream.into_split();
    let mut line = zeroize::Zeroizing::new(serde_json::to_vec(operation).ok()?);
    line.push(b'\n');
    write.write_all(&line).await.ok()?;
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line).ok()? {
            Reply::End => return Some(Ok(())),
            Reply::Failed(failure) => return Some(Err(failure)),
            reply => {
                if replies.send(reply).await.is_err() {
                    return Some(Ok(()));
                }
            }
        }
    }
    None
}
