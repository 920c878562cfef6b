//! Frames inside a link record: u16 length ‖ opcode ‖ body, one after the other. PROTOCOL 3.4

use super::{Reader, WireError};

/// Bytes before each frame.
pub const PREFIX_LEN: usize = 2;

/// Walks the whole frames of an opened record.
#[derive(Debug)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// Walks `record`, the plaintext of one link record.
    #[must_use]
    pub const fn new(record: &'a [u8]) -> Self {
        Self(record)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut reader = Reader::new(self.0);
        let frame = reader.u16().and_then(|len| reader.slice(usize::from(len)));
        match frame {
            Ok([]) | Err(_) => {
                self.0 = &[];
                Some(Err(WireError::Length))
            }
            Ok(frame) => {
                self.0 = reader.rest();
                Some(Ok(frame))
            }
        }
    }
}

/// Appends one frame to the plaintext of a record: `emit` writes opcode and body into the room that
/// it is given and returns their length.
///
/// Returns the record's new length.
///
/// # Errors
/// [`WireError::Length`] where the frame does not fit; the record keeps its length.
pub fn append(
    record: &mut [u8],
    len: usize,
    emit: impl FnOnce(&mut [u8]) -> Result<usize, WireError>,
) -> Result<usize, WireError> {
    let (prefix, room) = record
        .get_mut(len..)
        .and_then(|rest| rest.split_first_chunk_mut::<PREFIX_LEN>())
        .ok_or(WireError::Length)?;
    let written = emit(room)?;
    *prefix = u16::try_from(written)
        .map_err(|_| WireError::Length)?
        .to_be_bytes();
    len.checked_add(PREFIX_LEN)
        .and_then(|n| n.checked_add(written))
        .ok_or(WireError::Length)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn frame(record: &mut [u8], len: usize, bytes: &[u8]) -> Result<usize, WireError> {
        append(record, len, |room| {
            room.get_mut(..bytes.len())
                .ok_or(WireError::Length)?
                .copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    #[test]
    fn several_frames_to_a_record() {
        let mut record = [0; 16];
        let len = frame(&mut record, 0, b"abc").unwrap();
        let len = frame(&mut record, len, b"d").unwrap();
        assert_eq!(len, 8);
        assert_eq!(
            frame(&mut record, len, b"seven..").unwrap_err(),
            WireError::Length
        );
        let frames: Vec<_> = Frames::new(&record[..len]).collect();
        assert_eq!(frames, [Ok(&b"abc"[..]), Ok(&b"d"[..])]);
    }

    #[test]
    fn torn_and_empty_frames_end_the_walk() {
        for bad in [&[0][..], &[0, 0], &[0, 2, 1], &[0xff, 0xff, 1]] {
            assert_eq!(
                Frames::new(bad).collect::<Vec<_>>(),
                [Err(WireError::Length)]
            );
        }
    }
}
