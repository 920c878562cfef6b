//! A device in QEMU: its image, its flash, its console, and a plug to pull.
//!
//! Its flash and its key are files, which outlive the process: killing it is a loss of power.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::child::{PATIENCE, Running};

/// The machine that the image is for.
const MACHINE: &str = "mps2-an386";

/// Where a device under QEMU's own network finds this machine's loopback.
pub const HOST: &str = "10.0.2.2";

/// A device, switched on or off.
#[derive(Debug)]
pub struct Device {
    image: PathBuf,
    folder: PathBuf,
    /// QEMU's `-netdev`, without its id.
    network: String,
    entropy: String,
    counts_instructions: bool,
    running: Option<Running>,
}

impl Device {
    /// A device with an empty flash in `folder`, still off.
    #[must_use]
    pub fn new(image: &Path, folder: &Path) -> Self {
        Self {
            image: image.to_owned(),
            folder: folder.to_owned(),
            network: "user".into(),
            entropy: "good".into(),
            counts_instructions: false,
            running: None,
        }
    }

    /// Another network than QEMU's own: what follows `-netdev`, with `id=net`.
    pub fn connect_to(&mut self, netdev: &str) {
        self.network = netdev.to_owned();
    }

    /// Another source of noise: `good`, `stuck`, `repeat` or `fail`.
    pub fn feed_noise(&mut self, which: &str) {
        self.entropy = which.to_owned();
    }

    /// The file that is the device's flash.
    #[must_use]
    pub fn flash(&self) -> PathBuf {
        self.folder.join("flash.bin")
    }

    /// The file that stands for the device's protected memory.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.join("device.key")
    }

    /// Makes one instruction one nanosecond of the device's time: slower, and repeatable.
    pub fn count_instructions(&mut self) {
        self.counts_instructions = true;
    }

    /// Switches it on.
    ///
    /// # Errors
    /// QEMU cannot be started.
    pub fn power_on(&mut self) -> Result<()> {
        let mut command = self.command()?;
        command.args(["-monitor", "none", "-serial", "stdio"]);
        let running = Running::start_talking(&mut command)
            .context("the device needs qemu-system-arm; `cargo xtask setup` installs it")?;
        self.running = Some(running);
        Ok(())
    }

    /// What switches it on with the terminal as its console, for a person: Ctrl-A X ends it.
    ///
    /// # Errors
    /// The folder cannot be made, or QEMU would misread its name.
    pub fn command_for_terminal(&self) -> Result<Command> {
        let mut command = self.command()?;
        command.args(["-serial", "mon:stdio"]);
        Ok(command)
    }

    fn command(&self) -> Result<Command> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let (flash, key) = (self.flash(), self.key());
        let (flash, key) = (argument(&flash)?, argument(&key)?);
        let network = match self.network.as_str() {
            "user" => "user,id=net",
            other => other,
        };
        let entropy = &self.entropy;
        let semihosting = format!(
            "enable=on,target=native,arg=hushwire,arg=flash={flash},arg=key={key},arg=entropy={entropy}"
        );
        let mut command = Command::new("qemu-system-arm");
        command.args(["-M", MACHINE, "-display", "none"]);
        command.args(["-netdev", network, "-net", "nic,model=lan9118,netdev=net"]);
        command.args(["-semihosting-config", &semihosting]);
        if self.counts_instructions {
            command.args(["-icount", "shift=0"]);
        }
        command.arg("-kernel").arg(&self.image);
        Ok(command)
    }

    /// Pulls the plug (SIGKILL), in the middle of whatever it does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn cut_power(&mut self) -> Result<()> {
        match self.running.take() {
            Some(mut running) => running.kill(),
            None => Ok(()),
        }
    }

    /// Files that QEMU holds open, where the system tells.
    pub fn open_files(&self) -> Option<usize> {
        self.running.as_ref()?.open_files()
    }

    /// Whether QEMU still runs.
    pub fn is_on(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_alive)
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("the device is off")
    }

    /// Types a command on the console; returns its last line, which begins with `ok`, and what it
    /// printed before.
    ///
    /// # Errors
    /// The device answers `error …`, or not at all.
    pub fn tell(&mut self, command: &str) -> Result<Answer> {
        let running = self.running()?;
        running.say(command)?;
        let mut lines = Vec::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let line = running
                .line_within(left, |_| true)
                .with_context(|| format!("`{command}` on the device's console"))?;
            let line = clean(&line);
            if line == "ok" || line.starts_with("ok ") {
                let last = line
                    .strip_prefix("ok")
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                return Ok(Answer { last, lines });
            }
            if let Some(complaint) = line.strip_prefix("error") {
                bail!("the device refuses `{command}`:{complaint}");
            }
            // Log lines begin with `#`; the echo of what was typed follows the prompt.
            if !line.starts_with('#') && !line.starts_with('>') {
                lines.push(line);
            }
        }
    }

    /// Types a line on the console, and waits for no answer.
    ///
    /// # Errors
    /// The device is off.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        self.running()?.say(line)
    }

    /// Waits until the device says that its relay has it, and knows its prekeys.
    ///
    /// # Errors
    /// It does not come online within the patience.
    pub fn wait_until_online(&mut self) -> Result<()> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.tell("status")?.value("state") != Some("online") {
            if std::time::Instant::now() >= deadline {
                bail!("the device is not online after {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // The prekeys go up in the first exchange.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// Waits for a line of the log that holds `text`.
    ///
    /// # Errors
    /// It does not come within the patience.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        self.wait_within(PATIENCE, text)
    }

    /// As [`Self::wait_for`], with a patience of the caller's.
    ///
    /// # Errors
    /// It does not come within the patience.
    pub fn wait_within(&mut self, patience: Duration, text: &str) -> Result<String> {
        let running = self.running()?;
        running
            .line_within(patience, |line| line.contains(text))
            .map(|line| clean(&line))
            .with_context(|| format!("waiting for \"{text}\" on the device's console"))
    }

    /// Lines that it has printed and nobody has asked for.
    pub fn unread(&mut self) -> Vec<String> {
        let running = self.running.as_mut();
        let lines = running.map(Running::unread).unwrap_or_default();
        lines.iter().map(|line| clean(line)).collect()
    }
}

/// What a command on the console printed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What followed `ok`.
    pub last: String,
    /// The lines before it.
    pub lines: Vec<String>,
}

impl Answer {
    /// The value of the line `name: value`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A path as the device's command line can carry it: QEMU's options end at a comma, the device's words
/// at a space.
fn argument(path: &Path) -> Result<&str> {
    path.to_str()
        .filter(|text| !text.contains([',', ' ']) && text.len() < 200)
        .with_context(|| {
            format!(
                "the device cannot name {}: it wants UTF-8 without space and comma, below 200 bytes",
                path.display()
            )
        })
}

/// A console's line without carriage returns and what a terminal's editing leaves.
fn clean(line: &str) -> String {
    let line = line.rsplit('\r').find(|part| !part.is_empty());
    line.unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriage_returns_leave_what_stands_last() {
        assert_eq!(clean("ok\r"), "ok");
        assert_eq!(clean("\r> status\r"), "> status");
        assert_eq!(clean("\r"), "");
    }

    #[test]
    fn values_are_found_by_name() {
        let answer = Answer {
            last: String::new(),
            lines: vec!["state: online".into(), "link: up".into()],
        };
        assert_eq!(answer.value("link"), Some("up"));
        assert_eq!(answer.value("li"), None);
    }
}
