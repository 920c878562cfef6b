//! The example, running: commands in, lines out, never for longer than a minute.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// How long one command may take: a step on the curve, in QEMU or under valgrind, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The C program. Killed when dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a command printed: (word, rest) for each line, and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    lines: Vec<(String, String)>,
    /// The status's sentence, where it failed.
    pub(crate) failure: Option<String>,
}

impl Peer {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; try `cargo xtask c-api`"));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let texts = BufReader::new(stdout).lines().map_while(Result::ok);
            texts
                .take_while(|line| sender.send(line.clone()).is_ok())
                .for_each(drop);
        });
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// Gives a command and waits for its end.
    pub(crate) fn ask(&mut self, command: &str) -> Answer {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{command}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!(
                    "`{command:.60}` has no end; so far {lines:?}, and {:?}",
                    self.child.try_wait()
                )
            });
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match word {
                "done" => {
                    return Answer {
                        lines,
                        failure: None,
                    };
                }
                "failed" => {
                    return Answer {
                        lines,
                        failure: Some(rest.to_owned()),
                    };
                }
                _ => lines.push((word.to_owned(), rest.to_owned())),
            }
        }
    }

    /// Gives a command that must succeed.
    pub(crate) fn must(&mut self, command: &str) -> Answer {
        let answer = self.ask(command);
        assert_eq!(answer.failure, None, "`{command:.60}`: {answer:?}");
        answer
    }

    /// Closes its input; it must end by itself and well, sanitizers and valgrind included.
    pub(crate) fn finish(mut self) {
        drop(self.stdin.take());
        let rest: Vec<_> = self.lines.iter().collect();
        assert_eq!(rest, Vec::<String>::new());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The text behind a word that must have been printed once.
    pub(crate) fn text(&self, word: &str) -> &str {
        let found: Vec<_> = self.lines.iter().filter(|(name, _)| name == word).collect();
        assert_eq!(found.len(), 1, "{word} in {self:?}");
        &found[0].1
    }

    /// The bytes behind a word.
    pub(crate) fn bytes(&self, word: &str) -> Vec<u8> {
        hex::decode(self.text(word)).unwrap()
    }

    /// Whether a word was printed.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.lines.iter().any(|(name, _)| name == word)
    }

    /// Asserts that it failed so.
    pub(crate) fn failed(&self, sentence: &str) -> &Self {
        assert_eq!(self.failure.as_deref(), Some(sentence), "{self:?}");
        self
    }
}
