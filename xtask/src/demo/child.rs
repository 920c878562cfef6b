//! A program that runs beside us: its lines as they come, and its end by its own handle.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;

/// Nothing in the demo takes longer than a moment; this is for a machine under load.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Dropped, it is killed and waited for.
pub(super) struct Running {
    child: Child,
    what: String,
    output: Receiver<String>,
    complaints: Receiver<String>,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let what = process::shown(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{what}`"))?;
        let output = lines(child.stdout.take().context("no standard output")?);
        let complaints = lines(child.stderr.take().context("no standard error")?);
        Ok(Self {
            child,
            what,
            output,
            complaints,
        })
    }

    /// The first line of standard output from now on that is wanted.
    pub(super) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
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

    /// Kills it without a warning (SIGKILL) and waits until it is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
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
    fn an_early_end_is_told_with_what_was_said() {
        let mut running = shell("echo broken >&2; exit 1");
        std::thread::sleep(Duration::from_millis(50));
        let error = running.line(|_| true).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("too early")));
    }
}
