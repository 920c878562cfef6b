//! A program that runs beside us: its lines as they come, and its end by its own handle.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Nothing that is waited for takes longer than a moment; this is for a machine under load.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Dropped, it is killed and waited for.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    what: String,
    output: Receiver<String>,
    complaints: Receiver<String>,
}

impl Running {
    /// Starts a program that is told nothing.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::spawn(command.stdin(Stdio::null()))
    }

    /// Starts a program that reads lines ([`Self::say`]).
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_talking(command: &mut Command) -> Result<Self> {
        Self::spawn(command.stdin(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let what = shown(command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{what}`"))?;
        let output = lines(child.stdout.take().context("no standard output")?);
        let complaints = lines(child.stderr.take().context("no standard error")?);
        Ok(Self {
            input: child.stdin.take(),
            child,
            what,
            output,
            complaints,
        })
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// It reads no lines, or has ended.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("it reads no lines")?;
        writeln!(input, "{line}").with_context(|| format!("`{}` does not listen", self.what))
    }

    /// The first line of standard output from now on that is wanted.
    ///
    /// # Errors
    /// It ended, or [`PATIENCE`] did.
    pub fn line(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.line_within(PATIENCE, wanted)
    }

    /// As [`Self::line`], with a patience of the caller's.
    ///
    /// # Errors
    /// It ended, or the patience did.
    pub fn line_within(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!(
                        "`{}` did not say what was expected{}",
                        self.what,
                        self.said()
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("`{}` ended too early{}", self.what, self.said())
                }
            }
        }
    }

    /// The lines that it has printed and nobody has asked for.
    pub fn unread(&mut self) -> Vec<String> {
        self.output.try_iter().collect()
    }

    /// Files that it holds open, where the system tells.
    pub fn open_files(&self) -> Option<usize> {
        let folder = format!("/proc/{}/fd", self.child.id());
        Some(std::fs::read_dir(folder).ok()?.count())
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself; its exit code, where no signal ended it.
    ///
    /// # Errors
    /// [`PATIENCE`] ended before.
    pub fn exit_code(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("`{}` does not end{}", self.what, self.said())
    }

    /// Kills it without a warning (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .with_context(|| format!("cannot kill `{}`", self.what))?;
        self.child
            .wait()
            .with_context(|| format!("cannot wait for `{}`", self.what))?;
        Ok(())
    }

    fn said(&self) -> String {
        let lines: Vec<_> = self.complaints.try_iter().collect();
        if lines.is_empty() {
            String::new()
        } else {
            format!(":\n{}", lines.join("\n"))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.kill();
    }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str())];
    words.extend(command.get_args());
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// Lines of a pipe, read by a thread that ends with the pipe.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        Running::start(Command::new("sh").args(["-c", script])).expect("a shell starts")
    }

    #[test]
    fn lines_arrive_while_the_program_runs() {
        let mut running = shell("echo one; echo two; exec sleep 600");
        assert_eq!(
            running.line(|line| line == "two").ok().as_deref(),
            Some("two")
        );
        assert!(running.kill().is_ok());
    }

    #[test]
    fn an_end_is_told_with_its_code() {
        assert_eq!(shell("exit 3").exit_code().ok(), Some(Some(3)));
        assert_eq!(shell("kill -9 $$").exit_code().ok(), Some(None));
    }

    #[test]
    fn an_early_end_is_told_with_what_was_said() {
        let mut running = shell("echo broken >&2; exit 1");
        std::thread::sleep(Duration::from_millis(50));
        let error = running.line(|_| true).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("too early")));
    }
}
