//! `hushwire-relay key show | rotate | retire`: the relay's link key and those before it.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use crate::config::Span;
use crate::key::{KeyError, KnownKey, RelayKey};

/// What is done with the relay's key.
#[derive(Clone, Debug, Subcommand)]
pub enum KeyTool {
    /// Print the public keys, and until when the former ones are good.
    Show(KeyFile),
    /// Make a new key. From its next start the relay answers to the old one too, until the overlap is
    /// over, and tells the new one to every client that still pins the old one.
    Rotate {
        /// Which key.
        #[command(flatten)]
        file: KeyFile,
        /// How long the old key stays good; 0s for not at all, nor any before it: it was stolen.
        #[arg(long, value_name = "SPAN", default_value = "90d")]
        overlap: Span,
    },
    /// End every overlap: from its next start the relay answers to its present key only.
    Retire(KeyFile),
}

/// Where the key is.
#[derive(Clone, Debug, Args)]
pub struct KeyFile {
    /// The relay's data folder.
    #[arg(
        long,
        env = "HUSHWIRE_RELAY_DATA",
        value_name = "FOLDER",
        default_value = "hushwire-relay-data"
    )]
    pub(crate) data: PathBuf,
    /// The key file, where it is not the data folder's relay.key.
    #[arg(long, env = "HUSHWIRE_RELAY_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

impl KeyFile {
    pub(crate) fn path(&self) -> PathBuf {
        let beside = || self.data.join("relay.key");
        self.key.clone().unwrap_or_else(beside)
    }
}

/// Seconds since 1970, as this machine has it: overlaps are told to people by the calendar.
#[must_use]
pub fn unix_now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl KeyTool {
    /// Does it; what is to be said.
    ///
    /// # Errors
    /// [`KeyError`]; the file is as it was.
    pub(crate) fn work(self) -> Result<String, KeyError> {
        let now = unix_now_s();
        match self {
            Self::Show(file) => Ok(shown(&RelayKey::load(&file.path())?, now)),
            Self::Rotate { file, overlap } => {
                let path = file.path();
                let key = RelayKey::rotate(&path, overlap.0, now)?;
                let of_others = match key.known().len() {
                    1 => {
                        "No URL or contact card with a former key works from then on: give every client the new \
                          URL by a way that you trust."
                    }
                    _ => "URLs and contact cards with a former key work until its end.",
                };
                Ok(format!(
                    "{}Now restart the relay, and back up {}; relays of one store need the same file. {of_others}",
                    shown(&key, now),
                    path.display()
                ))
            }
            Self::Retire(file) => {
                let key = RelayKey::retire(&file.path())?;
                Ok(format!("{}Now restart the relay.", shown(&key, now)))
            }
        }
    }
}

fn shown(key: &RelayKey, now: u64) -> String {
    let line = |KnownKey {
                    public,
                    until_unix_s,
                }| match until_unix_s {
        None => format!("{public} present\n"),
        Some(until) if until <= now => format!("{public} former, refused\n"),
        Some(until) => {
            let days = (until - now) / 86_400;
            format!("{public} former, good for {days} more days (until Unix time {until})\n")
        }
    };
    key.known().into_iter().map(line).collect()
}
