//! Cutting a byte stream into messages: u16 length ‖ bytes. PROTOCOL 3.3
//!
//! A length that this side does not take is refused when its two bytes are there, before anything
//! behind them is waited for or stored.

use super::{HEAD_ROOM, LinkLimits, RecordError, TAIL_ROOM};
use crate::wire::frame;

/// Bytes of the smallest record without its length: a frame of one byte, and the tag.
pub(super) const MIN_RECORD: usize = frame::PREFIX_LEN + 1 + TAIL_ROOM;

/// Which lengths are taken, in bytes without the length itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    min: usize,
    max: usize,
}

impl Bounds {
    /// One length only: a message of the handshake.
    #[must_use]
    pub const fn exactly(len: usize) -> Self {
        Self { min: len, max: len }
    }

    /// Records under this side's own limits.
    #[must_use]
    pub const fn records(own: &LinkLimits) -> Self {
        Self {
            min: MIN_RECORD,
            max: own.max_record() as usize,
        }
    }
}

/// What stands at the front of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// So many more bytes are needed before the next call can say more.
    Need(usize),
    /// A whole message of so many bytes, which begins at [`HEAD_ROOM`].
    Whole(usize),
}

/// Looks at the front of what was received so far. For callers with growing buffers of their own;
/// the others use [`RecordReader`].
///
/// # Errors
/// [`RecordError::TooShort`], [`RecordError::TooLong`]: the connection ends.
pub fn scan(received: &[u8], bounds: Bounds) -> Result<Scan, RecordError> {
    let Some((length, rest)) = received.split_first_chunk::<HEAD_ROOM>() else {
        return Ok(Scan::Need(HEAD_ROOM.saturating_sub(received.len())));
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < bounds.min {
        return Err(RecordError::TooShort);
    }
    if length > bounds.max {
        return Err(RecordError::TooLong);
    }
    Ok(match length.checked_sub(rest.len()) {
        None | Some(0) => Scan::Whole(length),
        Some(missing) => Scan::Need(missing),
    })
}

/// What a [`RecordReader`] has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// At least so many more bytes have to be put into [`RecordReader::room`].
    Need(usize),
    /// A whole message, its length taken off; to be opened in place.
    Record(&'a mut [u8]),
}

/// A stream in a fixed buffer: put bytes into [`room`](Self::room), take messages out.
///
/// The buffer is an array, a slice or a box: [`HEAD_ROOM`] bytes more than the longest message.
#[derive(Debug)]
pub struct RecordReader<B> {
    buffer: B,
    start: usize,
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> RecordReader<B> {
    /// An empty stream.
    pub const fn new(buffer: B) -> Self {
        Self {
            buffer,
            start: 0,
            end: 0,
        }
    }

    /// Where the next bytes of the stream go. Not empty as long as no whole message waits.
    pub fn room(&mut self) -> &mut [u8] {
        let buffer = self.buffer.as_mut();
        // A torn message moves to the front: less than one message, once for each read.
        if self.start <= self.end && self.end <= buffer.len() {
            buffer.copy_within(self.start..self.end, 0);
        }
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that the first `len` bytes of [`room`](Self::room) were filled.
    pub fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buffer.as_ref().len());
    }

    /// Bytes received and not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Takes bytes that have no length in front: the preamble. `None` where too few are there.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.received().first_chunk()?;
        self.start = self.start.saturating_add(N);
        Some(bytes)
    }

    /// Takes the next message, or says how many bytes it lacks.
    ///
    /// # Errors
    /// [`RecordError`]: the connection ends.
    pub fn next_record(&mut self, bounds: Bounds) -> Result<Next<'_>, RecordError> {
        match scan(self.received(), bounds)? {
            Scan::Need(more) => {
                let whole = self.waiting().saturating_add(more);
                if whole > self.buffer.as_ref().len() {
                    return Err(RecordError::Buffer);
                }
                Ok(Next::Need(more))
            }
            Scan::Whole(len) => {
                let body = self.start.saturating_add(HEAD_ROOM);
                self.start = body.saturating_add(len);
                self.buffer
                    .as_mut()
                    .get_mut(body..self.start)
                    .map(Next::Record)
                    .ok_or(RecordError::Buffer)
            }
        }
    }

    fn received(&self) -> &[u8] {
        self.buffer
            .as_ref()
            .get(self.start..self.end)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    fn bounds() -> Bounds {
        Bounds::records(&LinkLimits::new(1400, 1382, 1).unwrap())
    }

    #[test]
    fn however_the_stream_is_cut_the_same_records_come_out() {
        let lengths = [19, 1400, 20, 19, 700, 1400];
        let mut stream = Vec::new();
        for (i, len) in lengths.into_iter().enumerate() {
            stream.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            stream.extend(vec![u8::try_from(i).unwrap(); len]);
        }
        for step in [1, 2, 3, 21, 1402, 5000] {
            let mut reader = RecordReader::new(vec![0; 1402]);
            let (mut rest, mut seen) = (&stream[..], Vec::new());
            loop {
                match reader.next_record(bounds()).unwrap() {
                    Next::Record(record) => {
                        assert!(record.iter().all(|byte| usize::from(*byte) == seen.len()));
                        seen.push(record.len());
                    }
                    Next::Need(_) if rest.is_empty() => break,
                    Next::Need(more) => {
                        let room = reader.room();
                        assert!(room.len() >= more, "the buffer holds the longest record");
                        let len = step.min(room.len()).min(rest.len());
                        room[..len].copy_from_slice(&rest[..len]);
                        rest = &rest[len..];
                        reader.filled(len);
                    }
                }
            }
            assert_eq!(seen, lengths, "step {step}");
            assert_eq!(reader.waiting(), 0);
        }
    }

    #[test]
    fn a_length_is_judged_by_its_two_bytes() {
        assert_eq!(scan(&[], bounds()), Ok(Scan::Need(2)));
        assert_eq!(scan(&[5], bounds()), Ok(Scan::Need(1)));
        for len in 0..=u16::MAX {
            let expected = match len {
                0..19 => Err(RecordError::TooShort),
                19..=1400 => Ok(Scan::Need(usize::from(len))),
                _ => Err(RecordError::TooLong),
            };
            assert_eq!(scan(&len.to_be_bytes(), bounds()), expected);
        }
    }

    #[test]
    fn a_buffer_below_the_limits_is_the_callers_error() {
        let mut reader = RecordReader::new([0; 100]);
        reader.room()[..2].copy_from_slice(&[0, 99]);
        reader.filled(2);
        assert_eq!(reader.next_record(bounds()), Err(RecordError::Buffer));
    }

    #[test]
    fn bytes_before_the_first_length() {
        let mut reader = RecordReader::new([0; 16]);
        reader.room()[..4].copy_from_slice(b"HW\x01\x01");
        reader.filled(4);
        assert_eq!(reader.take::<5>(), None);
        reader.room()[..4].copy_from_slice(b"\x01\0\x01!");
        reader.filled(4);
        assert_eq!(reader.take(), Some(*b"HW\x01\x01\x01"));
        let next = reader.next_record(Bounds::exactly(1));
        assert_eq!(next, Ok(Next::Record(&mut [b'!'])));
        // More than the room is no more than the room.
        reader.filled(usize::MAX);
        assert_eq!(reader.waiting(), 8);
    }
}
