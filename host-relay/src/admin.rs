//! The owner's door to a relay that runs: a socket in its data folder, which nobody else can open.
//!
//! One line asks, one line answers: `backup FOLDER`, then `ok …` or `error …`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::store::Embedded;
use crate::tools;

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";
/// A request is one path.
const LONGEST: u64 = 8 * 1024;
/// Whoever is let in may take so long to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the socket. The store's lock says that no other relay is there: what stands there is left
/// over from one that was killed.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one request after the other, for ever. `key` is the file of the relay's key.
pub async fn serve(listener: UnixListener, store: Arc<Embedded>, key: PathBuf) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: that does not last.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let Err(error) = answer(stream, &store, &key).await {
            tracing::debug!(%error, "a request at the admin socket ended early");
        }
    }
}

async fn answer(stream: UnixStream, store: &Arc<Embedded>, key: &Path) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LONGEST));
    timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let said = match line.trim_end_matches('\n').split_once(' ') {
        Some(("backup", folder)) => {
            let (store, key, folder) = (Arc::clone(store), key.to_owned(), PathBuf::from(folder));
            let work = move || tools::back_up(&store, &key, &folder);
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(said)) => format!("ok {said}\n"),
                Ok(Err(error)) => format!("error {error}\n"),
                Err(_) => "error the back-up ended unexpectedly\n".to_owned(),
            }
        }
        _ => "error no such request; this relay knows: backup FOLDER\n".to_owned(),
    };
    writer.write_all(said.as_bytes()).await
}

/// Asks the relay that runs on `data`; `None` if none does.
pub fn ask(data: &Path, request: &str) -> io::Result<Option<String>> {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::os::unix::net::UnixStream::connect(data.join(SOCKET)) else {
        return Ok(None);
    };
    writeln!(stream, "{request}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(Some(answer.trim_end().to_owned()))
}
