//! The `hushwire` program on a vault of its own. Child processes are ended by their own handles.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod relay;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{PATIENCE, Relay};

pub(crate) struct Program {
    folder: TempDir,
    pub(crate) passphrase: String,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// A key file in place of the passphrase: it saves the stretching where that is not the matter.
    key_file: Option<PathBuf>,
}

impl Program {
    /// No vault yet.
    pub(crate) fn unmade() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key_file = Some(folder.path().join("vault.key"));
        Self {
            folder,
            passphrase: String::new(),
            environment: Vec::new(),
            key_file,
        }
    }

    /// With a vault under the passphrase "right".
    pub(crate) fn new(relay: &Relay) -> Self {
        let mut program = Self::unmade();
        (program.key_file, program.passphrase) = (None, "right".into());
        program.json(&["init", "--relay", &relay.url.to_string()]);
        program
    }

    /// Two programs with vaults under key files, who have each other's cards.
    pub(crate) fn friends(relay: &Relay) -> (Self, Self) {
        Self::friends_at(&relay.url.to_string())
    }

    pub(crate) fn friends_at(url: &str) -> (Self, Self) {
        let (alice, bob) = (Self::unmade(), Self::unmade());
        let card = |program: &Self| text(&program.json(&["init", "--relay", url]), "card");
        let (cards_alice, cards_bob) = (card(&alice), card(&bob));
        alice.json(&["contacts", "add", "bob", &cards_bob]);
        bob.json(&["contacts", "add", "alice", &cards_alice]);
        (alice, bob)
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushwire"));
        command
            .arg("--vault")
            .arg(self.vault())
            .arg("--json")
            .args(arguments);
        command.env("HUSHWIRE_PASSPHRASE", &self.passphrase);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(path) = &self.key_file {
            command.arg("--key-file").arg(path);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// One answer.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut lines = self.lines(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
        lines.remove(0)
    }

    /// All answers of a command that succeeds.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, out, complaint) = finish(self.command(arguments), &[]);
        assert_eq!(code, 0, "{arguments:?}: {complaint}");
        out
    }

    /// The last answer of a command that succeeds and reads `input`.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Value {
        let (code, mut out, complaint) = finish(self.command(arguments), input);
        assert_eq!(code, 0, "{arguments:?}: {complaint}");
        out.pop().expect("an answer")
    }

    /// The code and the sentence of a command that fails.
    pub(crate) fn fail(&self, arguments: &[&str]) -> (i32, String) {
        self.fail_with(arguments, &[])
    }

    pub(crate) fn fail_with(&self, arguments: &[&str], input: &[u8]) -> (i32, String) {
        let (code, out, complaint) = finish(self.command(arguments), input);
        assert_ne!(code, 0, "{arguments:?} succeeds: {out:?}");
        (code, complaint)
    }

    /// A command that goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        Running::start(command)
    }
}

fn finish(mut command: Command, input: &[u8]) -> (i32, Vec<Value>, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input is none the worse.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8(output.stdout).unwrap();
    let values = out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    (output.status.code().unwrap_or(-1), values, complaint)
}

/// A field of an answer.
/// Whether an answer is a warning that says this.
pub(crate) fn is_alarm(line: &Value, part: &str) -> bool {
    line["type"] == "alarm" && text(line, "text").contains(part)
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
        .to_owned()
}

/// A process that goes on until it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        // What it complains of stands in the test's own output.
        let complaints = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in complaints.lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        Self { child, lines }
    }

    pub(crate) fn next_line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes")
    }

    /// An answer, where one comes in that time.
    pub(crate) fn line_within(&mut self, time: Duration) -> Option<Value> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap_or_default()),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the program ended"),
        }
    }

    /// For who looks at it from outside.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first answer from here on that is wanted.
    pub(crate) fn line(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let line = self.next_line();
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            if wanted(&value) {
                return value;
            }
        }
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    /// Without a warning: SIGKILL to its own process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
