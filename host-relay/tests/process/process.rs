//! A relay in a process of its own.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Target};

/// Room and rates for a few who send as much as they can.
pub(crate) const WIDE: [&str; 8] = [
    "--mailbox-messages",
    "4000",
    "--mailbox-bytes",
    "16777216",
    "--submit-rate",
    "100000",
    "--submit-burst",
    "100000",
];

pub(crate) struct Process {
    child: Option<Child>,
    said: BufReader<ChildStdout>,
    pub(crate) url: String,
    pub(crate) target: Target,
}

/// The program, with an environment of nobody's.
pub(crate) fn command(data: &Path) -> Command {
    command_at(data, 0)
}

/// The same on a port that stays the same; 0 for any.
pub(crate) fn command_at(data: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
    command
        .env_clear()
        .arg("--data")
        .arg(data)
        .args(["--listen", &format!("127.0.0.1:{port}")]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same program with the signal of [`Process::limit_files`] ignored, as that limit would be met by an
/// error from a real disk.
pub(crate) fn on_a_limited_disk(relay: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .env_clear()
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    command.arg(relay.get_program()).args(relay.get_args());
    // Nobody reads the log.
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

impl Process {
    pub(crate) fn start(data: &Path) -> Self {
        Self::spawn(&mut command(data))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self::of(command.spawn().expect("the relay starts"))
    }

    /// Waits until a relay that was started serves.
    pub(crate) fn of(mut child: Child) -> Self {
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        said.read_line(&mut url).expect("a line");
        if url.is_empty() {
            let mut log = String::new();
            let _ = child
                .stderr
                .take()
                .map(|mut stderr| stderr.read_to_string(&mut log));
            panic!("the relay printed no URL: {log}");
        }
        let target = Target::parse(&url);
        Self {
            child: Some(child),
            said,
            url,
            target,
        }
    }

    /// The next line that the relay prints after its URL.
    #[cfg(all(feature = "websocket", feature = "tls"))]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// For signals and limits.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it was not taken out").id()
    }

    /// No file of the relay may grow beyond `bytes` from now on. The kernel's own limit stands in for a
    /// full disk: it needs no root and no mount, and the relay sees a write that fails (EFBIG where a disk
    /// says ENOSPC).
    pub(crate) fn limit_files(&self, bytes: &str) {
        let done = Command::new("prlimit")
            .args(["--pid", &self.id().to_string()])
            .arg(format!("--fsize={bytes}:unlimited"))
            .status();
        let done = done.expect("this test needs `prlimit` (Debian's package util-linux)");
        assert!(done.success(), "prlimit may not limit a process of ours");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child()
            .try_wait()
            .expect("the relay's status")
            .is_some()
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was not taken out")
    }

    /// The process, for who does something else with it; it is not killed any more.
    pub(crate) fn into_child(mut self) -> Child {
        self.child.take().expect("it was not taken out")
    }

    /// SIGKILL, and the end of it.
    pub(crate) fn kill(mut self) {
        self.child().kill().expect("the relay was running");
        self.child().wait().expect("the relay ended");
    }

    /// SIGTERM; how the relay ended and what it had logged.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let sent = Command::new("kill")
            .arg("-TERM")
            .arg(self.child().id().to_string())
            .status();
        assert!(sent.expect("kill runs").success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child().try_wait().expect("the relay's status") {
                break status;
            }
            assert!(Instant::now() < deadline, "the relay does not stop");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        // Where it goes elsewhere there is none.
        if let Some(mut stderr) = self.child().stderr.take() {
            stderr.read_to_string(&mut log).expect("a log");
        }
        (status, log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A failed test leaves no relay behind.
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
