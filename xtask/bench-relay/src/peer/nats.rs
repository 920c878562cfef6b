//! NATS' text protocol: core and, with a reply subject on every message, JetStream.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail, ensure};

use super::Role;
use super::connection::{Event, Wire};

/// Everything that is written to a mailbox, in one stream in files. The server answers when it has
/// written a message to the file, and before an fsync.
const STREAM: &str = r#"{"name":"BENCH","subjects":["m.*"],"storage":"file","num_replicas":1}"#;

pub(crate) struct Nats {
    role: Role,
    /// Each message is answered: with `{"stream":…}`, at the sender's own subject.
    jetstream: bool,
    /// The line before a payload, and what it was made for.
    head: Vec<u8>,
    head_of: Option<(u32, usize)>,
}

impl Nats {
    pub(crate) fn new(role: Role, jetstream: bool) -> Self {
        Self {
            role,
            jetstream,
            head: Vec::new(),
            head_of: None,
        }
    }

    fn message<'a>(&self, payload: &'a [u8]) -> Result<Event<'a>> {
        match self.role {
            Role::Recipient(_) => Ok(Event::Message(payload)),
            Role::Sender(_) if payload.starts_with(br#"{"stream":"#) => Ok(Event::Answered),
            Role::Away(_) if !contains(payload, b"\"error\"") => Ok(Event::Ready),
            _ => bail!("refused: {}", String::from_utf8_lossy(payload)),
        }
    }
}

impl Wire for Nats {
    fn open(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        // Writing to a Vec does not fail.
        let _ = match self.role {
            Role::Sender(number) if self.jetstream => {
                write!(out, "SUB _answers.{number} 1\r\nPING\r\n")
            }
            Role::Sender(_) => write!(out, "PING\r\n"),
            Role::Recipient(mailbox) => write!(out, "SUB m.{mailbox} 1\r\nPING\r\n"),
            Role::Away(_) => write!(
                out,
                "SUB _made 1\r\nPUB $JS.API.STREAM.CREATE.BENCH _made {}\r\n{STREAM}\r\n",
                STREAM.len(),
            ),
        };
    }

    fn publish(&mut self, out: &mut Vec<u8>, to: u32, payload: &[u8]) {
        if self.head_of != Some((to, payload.len())) {
            self.head_of = Some((to, payload.len()));
            self.head.clear();
            let len = payload.len();
            // Writing to a Vec does not fail.
            let _ = match self.role {
                Role::Sender(number) if self.jetstream => {
                    write!(self.head, "PUB m.{to} _answers.{number} {len}\r\n")
                }
                _ => write!(self.head, "PUB m.{to} {len}\r\n"),
            };
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn next<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event<'a>)>> {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let (line, len) = (&input[..end], end + 1);
        if line.starts_with(b"MSG ") {
            // MSG subject sid [reply] bytes
            let line = line.trim_ascii_end();
            let size = line.rsplit(|byte| *byte == b' ').next();
            let size = size.and_then(decimal).context("a message without size")?;
            let Some(payload) = input.get(len..len + size + 2) else {
                return Ok(None);
            };
            ensure!(
                payload.ends_with(b"\r\n"),
                "a message is longer than it says"
            );
            return Ok(Some((len + size + 2, self.message(&payload[..size])?)));
        }
        let event = match line.trim_ascii_end() {
            b"PONG" => Event::Ready,
            b"PING" => {
                out.extend_from_slice(b"PONG\r\n");
                Event::Other
            }
            line if line.starts_with(b"INFO") => Event::Other,
            line => bail!("the server says {}", String::from_utf8_lossy(line)),
        };
        Ok(Some((len, event)))
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |value: usize, digit| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::super::connection::tests::fed;
    use super::*;

    #[test]
    fn a_recipient_takes_messages_with_line_ends_in_them_and_answers_pings() {
        let mut wire = Nats::new(Role::Recipient(7), false);
        let input = b"INFO {}\r\nPONG\r\nMSG m.7 1 4\r\na\r\nb\r\nPING\r\nMSG m.7 1 r 1\r\nc\r\n";
        let (words, out) = fed(&mut wire, input);
        assert_eq!(words, ["ready", "a\r\nb", "c"]);
        assert_eq!(out, b"PONG\r\n");
    }

    #[test]
    fn only_jetstreams_own_word_is_an_answer() {
        let mut wire = Nats::new(Role::Sender(3), true);
        let stored = br#"{"stream":"BENCH","seq":1}"#;
        assert!(matches!(wire.message(stored), Ok(Event::Answered)));
        assert!(wire.message(br#"{"error":{"code":503}}"#).is_err());
        let mut out = Vec::new();
        wire.publish(&mut out, 7, b"abc");
        wire.publish(&mut out, 8, b"d");
        let expected = b"PUB m.7 _answers.3 3\r\nabc\r\nPUB m.8 _answers.3 1\r\nd\r\n";
        assert_eq!(out, expected);
    }
}
