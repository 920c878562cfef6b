//! `hushwire-relay status` and `hushwire-relay mailbox ...`: ask the relay that runs on this data.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{Config, ConfigError};

/// The relay answers within 5 s or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers `status` and `mailbox`; `None` where the command line asks for something else. What
/// follows the words are settings, of which `--data` says which relay is meant.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.peekable();
    let program = arguments.next()?;
    let first = arguments.peek()?;
    if first != "status" && first != "mailbox" {
        return None;
    }
    let mut words = Vec::new();
    while let Some(word) = arguments.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")) {
        words.push(word.to_string_lossy().into_owned());
    }
    let config = match Config::load([program].into_iter().chain(arguments)) {
        Ok(config) => config,
        Err(ConfigError::Arguments(error)) => error.exit(),
        Err(error) => {
            eprintln!("hushwire-relay: {error}");
            return Some(ExitCode::from(2));
        }
    };
    Some(match ask(&config.data, &words.join(" ")) {
        Ok(answer) => {
            // Who closes the pipe has read enough.
            let _ = io::stdout().write_all(answer.as_bytes());
            ExitCode::from(u8::from(answer.starts_with("{\"error\"")))
        }
        Err(error) => {
            let data = config.data.display();
            eprintln!(
                "hushwire-relay: no relay answers on the data of {data} ({error}); does it run?"
            );
            ExitCode::from(1)
        }
    })
}

fn ask(data: &Path, words: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(super::path(data))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{words}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
