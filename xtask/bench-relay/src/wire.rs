//! Frames in records on a stream: sealed for a relay, bare for the forwarder.

use anyhow::{Result, bail};
use hushwire_core::link::LinkLimits;
use hushwire_core::link::{Bounds, HEAD_ROOM, Opener, Scan, Sealer, TAIL_ROOM, scan};
use hushwire_core::wire::frame::{self, Frames};
use hushwire_core::wire::request::Request;

use crate::cipher::Expanded;

/// Frames gather in records of at most so many bytes.
const RECORD: usize = 16 * 1024;

/// What the generator takes: records as long as they come.
pub(crate) fn limits(window: u16) -> Result<LinkLimits> {
    Ok(LinkLimits::new(u16::MAX, 17_500, window)?)
}

/// How a record is closed.
pub(crate) enum Seal {
    Link(Box<Sealer<Expanded>>),
    Plain,
}

/// How a record is opened.
pub(crate) enum Open {
    Link(Box<Opener<Expanded>>),
    Plain,
}

/// Requests on their way out.
pub(crate) struct Out {
    seal: Seal,
    bytes: Vec<u8>,
    /// Where the record that is being filled begins, and its plaintext's length.
    start: usize,
    len: usize,
}

impl Out {
    pub(crate) fn new(seal: Seal) -> Self {
        Self {
            seal,
            bytes: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// Appends a request; records are sealed as they fill.
    pub(crate) fn push(&mut self, request: &Request<'_>) -> Result<()> {
        if !self.append(request) {
            self.close()?;
            if !self.append(request) {
                bail!("a request does not fit a record");
            }
        }
        Ok(())
    }

    fn append(&mut self, request: &Request<'_>) -> bool {
        let room = HEAD_ROOM + RECORD + TAIL_ROOM;
        if self.bytes.len() < self.start + room {
            self.bytes.resize(self.start + room, 0);
        }
        let plaintext = &mut self.bytes[self.start + HEAD_ROOM..][..RECORD];
        let longer = frame::append(plaintext, self.len, |room| request.emit(room));
        longer.map(|len| self.len = len).is_ok()
    }

    fn close(&mut self) -> Result<()> {
        if self.len == 0 {
            return Ok(());
        }
        let record = &mut self.bytes[self.start..];
        self.start += match &mut self.seal {
            Seal::Link(sealer) => sealer.seal(record, self.len)?,
            Seal::Plain => {
                record[..HEAD_ROOM].copy_from_slice(&(self.len as u16).to_be_bytes());
                HEAD_ROOM + self.len
            }
        };
        self.len = 0;
        Ok(())
    }

    /// Seals what is left and gives all bytes to write; nothing is left afterwards.
    pub(crate) fn take(&mut self) -> Result<&[u8]> {
        self.close()?;
        let end = std::mem::take(&mut self.start);
        Ok(&self.bytes[..end])
    }
}

/// Frames on their way in.
pub(crate) struct In {
    open: Open,
    bounds: Bounds,
    pub(crate) received: Vec<u8>,
}

impl In {
    pub(crate) fn new(open: Open) -> Result<Self> {
        Ok(Self {
            open,
            bounds: Bounds::records(&limits(1)?),
            received: Vec::with_capacity(128 * 1024),
        })
    }

    /// Hands every whole frame to `visit`.
    pub(crate) fn frames(&mut self, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut taken = 0;
        while let Some((record, end)) = self.next(taken)? {
            let plaintext = match &mut self.open {
                Open::Link(opener) => opener.open(&mut self.received[record])?,
                Open::Plain => &mut self.received[record],
            };
            for frame in Frames::new(plaintext) {
                visit(frame?)?;
            }
            taken = end;
        }
        self.received.drain(..taken);
        Ok(())
    }

    fn next(&self, from: usize) -> Result<Option<(std::ops::Range<usize>, usize)>> {
        let rest = &self.received[from..];
        let len = match &self.open {
            Open::Link(_) => match scan(rest, self.bounds)? {
                Scan::Whole(len) => len,
                Scan::Need(_) => return Ok(None),
            },
            Open::Plain => match rest.split_first_chunk::<HEAD_ROOM>() {
                Some((len, rest)) if rest.len() >= usize::from(u16::from_be_bytes(*len)) => {
                    usize::from(u16::from_be_bytes(*len))
                }
                _ => return Ok(None),
            },
        };
        let start = from + HEAD_ROOM;
        Ok(Some((start..start + len, start + len)))
    }
}
