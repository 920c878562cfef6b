//! Child processes: quiet, logged, or with a time limit. Each is ended by its own handle.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::project;

/// The cargo that runs us, in the project's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(project::root()).stdin(Stdio::null());
    command
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy(),
    ];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}

/// Standard output of a command that must succeed.
pub(crate) fn stdout_of(command: &mut Command) -> Result<String> {
    let what = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run `{what}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{what}` failed:\n{}", tail(&stderr, 40));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command that has ended, with everything that it printed.
pub(crate) struct Logged {
    pub(crate) status: ExitStatus,
    pub(crate) text: String,
    pub(crate) log: PathBuf,
}

impl Logged {
    fn read(status: ExitStatus, log: PathBuf) -> Result<Self> {
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        Ok(Self { status, text, log })
    }

    /// An error with the end of the log unless the command succeeded.
    pub(crate) fn must_succeed(self, what: &str) -> Result<String> {
        if self.status.success() {
            return Ok(self.text);
        }
        bail!(
            "{what} failed; whole log in {}:\n{}",
            self.log.display(),
            tail(&self.text, 60)
        )
    }
}

/// Runs a command with both of its streams in one log file, in the order that it wrote them.
pub(crate) fn logged(command: &mut Command, name: &str) -> Result<Logged> {
    let log = into_log(command, name)?;
    let status = command
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    Logged::read(status, log)
}

/// The same for at most `limit`; `None` says that it was still going and was ended.
pub(crate) fn logged_within(
    command: &mut Command,
    name: &str,
    limit: Duration,
) -> Result<Option<Logged>> {
    let log = into_log(command, name)?;
    match wait(command, limit)? {
        Some(status) => Logged::read(status, log).map(Some),
        None => Ok(None),
    }
}

/// Points a command's streams at its log file.
fn into_log(command: &mut Command, name: &str) -> Result<PathBuf> {
    let folder = project::log_dir();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let log = folder.join(format!("{}.log", name.replace([' ', '/', '.'], "-")));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("cannot share the log file")?)
        .stderr(file);
    Ok(log)
}

/// Runs a quiet command for at most `limit`; `None` says that it was still going and was ended.
pub(crate) fn within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    wait(command, limit)
}

fn wait(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let what = shown(command);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run `{what}`"))?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The program's path, if a folder of PATH holds it.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// The last `lines` lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_end_and_survives_short_texts() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
        assert_eq!(tail("", 2), "");
    }

    #[test]
    fn a_command_over_its_limit_is_ended() {
        let status = within(Command::new("sleep").arg("600"), Duration::from_millis(20));
        assert!(matches!(status, Ok(None)));
    }
}
