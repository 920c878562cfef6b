//! Redis' RESP2: PUBLISH and SUBSCRIBE; or streams, a key for each mailbox.
//!
//! A stream's recipient reads with XREAD and deletes what it has with XDEL: what is left in the
//! mailbox is what was not received. (Consumer groups and XACK would keep the messages.)

use std::io::Write as _;

use anyhow::{Result, bail, ensure};

use super::Role;
use super::connection::{Event, Wire};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pubsub,
    Streams,
}

/// What RESP is made of.
enum Token<'a> {
    Array(usize),
    Bulk(&'a [u8]),
    Integer(i64),
    Simple,
}

pub(crate) struct Redis {
    role: Role,
    kind: Kind,
    /// What stands before a payload, and what it was made for.
    head: Vec<u8>,
    head_of: Option<(u32, usize)>,
    /// Where in a reply with messages the recipient is.
    step: usize,
    /// Entries of that reply that are still to come.
    left: usize,
    /// The id of the last entry that came.
    last: Vec<u8>,
}

impl Redis {
    pub(crate) fn new(role: Role, kind: Kind) -> Self {
        Self {
            role,
            kind,
            head: Vec::new(),
            head_of: None,
            step: 0,
            left: 0,
            last: b"0".to_vec(),
        }
    }

    /// `*3 message channel payload`, and once `*3 subscribe channel 1`.
    fn subscribed<'a>(&mut self, token: Token<'a>) -> Result<Event<'a>> {
        self.step += 1;
        match (self.step, token) {
            (1, Token::Array(3)) | (2 | 3, Token::Bulk(_)) => Ok(Event::Other),
            (4, Token::Integer(1)) => {
                self.step = 0;
                Ok(Event::Ready)
            }
            (4, Token::Bulk(payload)) => {
                self.step = 0;
                Ok(Event::Message(payload))
            }
            _ => bail!("an unknown reply to SUBSCRIBE"),
        }
    }

    /// `*1 *2 key *n`, and n times `*2 id *2 field payload`: all is deleted and the next awaited.
    fn read<'a>(&mut self, token: Token<'a>, mailbox: u32, out: &mut Vec<u8>) -> Result<Event<'a>> {
        match (self.step, token) {
            (0, Token::Simple) => return Ok(Event::Ready),
            // XDEL's.
            (0, Token::Integer(_)) => return Ok(Event::Other),
            (0, Token::Array(1)) | (1 | 4 | 6, Token::Array(2)) | (2 | 7, Token::Bulk(_)) => {
                self.step += 1;
            }
            (3, Token::Array(entries)) if entries > 0 => {
                self.left = entries;
                array(out, entries + 2);
                bulk(out, b"XDEL");
                key(out, mailbox);
                self.step = 4;
            }
            (5, Token::Bulk(id)) => {
                bulk(out, id);
                self.last.clear();
                self.last.extend_from_slice(id);
                self.step = 6;
            }
            (8, Token::Bulk(payload)) => {
                self.left -= 1;
                self.step = 4;
                if self.left == 0 {
                    self.await_more(out, mailbox);
                    self.step = 0;
                }
                return Ok(Event::Message(payload));
            }
            _ => bail!("an unknown reply to XREAD"),
        }
        Ok(Event::Other)
    }

    fn await_more(&self, out: &mut Vec<u8>, mailbox: u32) {
        array(out, 6);
        for word in [&b"XREAD"[..], b"BLOCK", b"0", b"STREAMS"] {
            bulk(out, word);
        }
        key(out, mailbox);
        bulk(out, &self.last);
    }
}

impl Wire for Redis {
    fn open(&mut self, out: &mut Vec<u8>) {
        match (self.role, self.kind) {
            (Role::Recipient(mailbox), Kind::Pubsub) => {
                array(out, 2);
                bulk(out, b"SUBSCRIBE");
                key(out, mailbox);
            }
            (Role::Recipient(mailbox), Kind::Streams) => {
                out.extend_from_slice(b"PING\r\n");
                self.await_more(out, mailbox);
            }
            _ => out.extend_from_slice(b"PING\r\n"),
        }
    }

    fn publish(&mut self, out: &mut Vec<u8>, to: u32, payload: &[u8]) {
        if self.head_of != Some((to, payload.len())) {
            self.head_of = Some((to, payload.len()));
            let head = &mut self.head;
            head.clear();
            if self.kind == Kind::Pubsub {
                array(head, 3);
                bulk(head, b"PUBLISH");
                key(head, to);
            } else {
                array(head, 5);
                bulk(head, b"XADD");
                key(head, to);
                bulk(head, b"*");
                bulk(head, b"m");
            }
            // Writing to a Vec does not fail.
            let _ = write!(head, "${}\r\n", payload.len());
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
        let Some((len, token)) = token(input)? else {
            return Ok(None);
        };
        let event = match (self.role, self.kind, token) {
            (Role::Recipient(_), Kind::Pubsub, token) => self.subscribed(token)?,
            (Role::Recipient(mailbox), Kind::Streams, token) => self.read(token, mailbox, out)?,
            (_, _, Token::Simple) => Event::Ready,
            // To how many it was handed.
            (_, Kind::Pubsub, Token::Integer(1)) => Event::Answered,
            // The entry's id.
            (_, Kind::Streams, Token::Bulk(_)) => Event::Answered,
            _ => bail!("a message that nobody has"),
        };
        Ok(Some((len, event)))
    }
}

fn array(out: &mut Vec<u8>, len: usize) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "*{len}\r\n");
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    let _ = write!(out, "${}\r\n", bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// The mailbox's key or channel: always of one length.
fn key(out: &mut Vec<u8>, mailbox: u32) {
    let _ = write!(out, "$9\r\nm{mailbox:08x}\r\n");
}

/// The token at the front, with its length, when all of it came.
fn token(input: &[u8]) -> Result<Option<(usize, Token<'_>)>> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let (line, len) = (input[..end].trim_ascii_end(), end + 1);
    let Some((first, text)) = line.split_first() else {
        bail!("an empty line")
    };
    let number = || Ok::<_, anyhow::Error>(str::from_utf8(text)?.parse::<i64>()?);
    let token = match first {
        b'+' => Token::Simple,
        b':' => Token::Integer(number()?),
        b'*' => Token::Array(usize::try_from(number()?)?),
        b'$' => {
            let size = usize::try_from(number()?)?;
            let Some(bytes) = input.get(len..len + size + 2) else {
                return Ok(None);
            };
            ensure!(bytes.ends_with(b"\r\n"), "a string is longer than it says");
            return Ok(Some((len + size + 2, Token::Bulk(&bytes[..size]))));
        }
        _ => bail!("the server says {}", String::from_utf8_lossy(line)),
    };
    Ok(Some((len, token)))
}

#[cfg(test)]
mod tests {
    use super::super::connection::tests::fed;
    use super::*;

    #[test]
    fn a_subscriber_takes_messages() {
        let mut wire = Redis::new(Role::Recipient(7), Kind::Pubsub);
        let input = b"*3\r\n$9\r\nsubscribe\r\n$2\r\nm7\r\n:1\r\n\
            *3\r\n$7\r\nmessage\r\n$2\r\nm7\r\n$4\r\na\r\nb\r\n";
        assert_eq!(fed(&mut wire, input).0, ["ready", "a\r\nb"]);
    }

    #[test]
    fn a_streams_reader_deletes_all_that_came_and_awaits_what_follows() {
        let mut wire = Redis::new(Role::Recipient(7), Kind::Streams);
        let input = b"+PONG\r\n*1\r\n*2\r\n$2\r\nm7\r\n*2\r\n\
            *2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nm\r\n$1\r\na\r\n\
            *2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nm\r\n$1\r\nb\r\n:2\r\n";
        let (words, out) = fed(&mut wire, input);
        assert_eq!(words, ["ready", "a", "b"]);
        let expected = b"*4\r\n$4\r\nXDEL\r\n$9\r\nm00000007\r\n$3\r\n1-0\r\n$3\r\n1-1\r\n\
            *6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n\
            $9\r\nm00000007\r\n$3\r\n1-1\r\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_message_that_nobody_has_is_an_error() {
        let mut wire = Redis::new(Role::Sender(3), Kind::Pubsub);
        assert!(wire.next(b":0\r\n", &mut Vec::new()).is_err());
        assert!(matches!(
            wire.next(b":1\r\n", &mut Vec::new()),
            Ok(Some((4, Event::Answered)))
        ));
    }
}
