//! A relay: started, killed, started again on the same port and store.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Binaries;
use crate::child::{Running, shown};

/// A running relay.
#[derive(Debug)]
pub struct Relay {
    program: PathBuf,
    data: PathBuf,
    /// Settings, as words of its command line.
    settings: Vec<String>,
    url: String,
    running: Running,
}

impl Relay {
    /// Starts a relay on any free port of loopback.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn start(binaries: &Binaries, data: &Path) -> Result<Self> {
        Self::start_at(binaries, data, "127.0.0.1:0")
    }

    /// Starts a relay that listens at `listen`: address and port.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn start_at(binaries: &Binaries, data: &Path, listen: &str) -> Result<Self> {
        Self::start_with(binaries, data, listen, &[])
    }

    /// As [`Self::start_at`], with settings: `--registration`, `invite`.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn start_with(
        binaries: &Binaries,
        data: &Path,
        listen: &str,
        settings: &[&str],
    ) -> Result<Self> {
        let settings: Vec<String> = settings.iter().map(|&word| word.to_owned()).collect();
        let (running, url) = spawn(&binaries.relay, data, listen, &settings)?;
        Ok(Self {
            program: binaries.relay.clone(),
            data: data.to_owned(),
            settings,
            url,
            running,
        })
    }

    /// Its URL with the key that clients pin.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port: `127.0.0.1:4711`.
    pub fn authority(&self) -> &str {
        authority(&self.url).unwrap_or_default()
    }

    /// The folder of its store.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Kills it without a warning, in the middle of whatever it does.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn kill(&mut self) -> Result<()> {
        self.running.kill()
    }

    /// Starts another on the same port and on what is on the disk.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn restart(&mut self) -> Result<()> {
        let before = self.url.clone();
        self.restart_after_rotation()?;
        ensure!(
            self.url == before,
            "the relay came back as {}, and was {before}",
            self.url
        );
        Ok(())
    }

    /// As [`Self::restart`], where its key may be another one now: so is [`Self::url`] then.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn restart_after_rotation(&mut self) -> Result<()> {
        let listen = authority(&self.url).context("the relay's URL names no host")?;
        (self.running, self.url) = spawn(&self.program, &self.data, listen, &self.settings)?;
        Ok(())
    }

    /// What its operator does: `invite new`, `key rotate`; returns what is printed.
    ///
    /// # Errors
    /// What the process says, in a sentence.
    pub fn operate(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--data").arg(&self.data);
        let what = shown(&command);
        let output = command
            .output()
            .with_context(|| format!("cannot run `{what}`"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`{what}` failed: {}",
            complaint.trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn spawn(
    program: &Path,
    data: &Path,
    listen: &str,
    settings: &[String],
) -> Result<(Running, String)> {
    let mut command = Command::new(program);
    command.args(["--listen", listen, "--data"]).arg(data);
    command.args(settings);
    let mut running = Running::start(&mut command)?;
    let line = running.line(|line| line.contains("hush://"))?;
    let start = line.find("hush://").unwrap_or(0);
    let url = line[start..]
        .split_whitespace()
        .next()
        .unwrap_or("")
        .to_owned();
    Ok((running, url))
}

/// `hush://127.0.0.1:4711/#key` -> `127.0.0.1:4711`.
fn authority(url: &str) -> Option<&str> {
    url.strip_prefix("hush://")?.split(['/', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_and_port() {
        assert_eq!(
            authority("hush://127.0.0.1:4711/#abc"),
            Some("127.0.0.1:4711")
        );
        assert_eq!(authority("http://127.0.0.1"), None);
    }
}
