//! The link's two buffers, as small as the protocol allows.
//!
//! ```text
//! rx:  [ opened record: frames not yet handled ][ bytes behind it ][ room ]
//! tx:  [ length 2 ][ length 2 ][ frame ][ tag 16 ]       [ ... the body that is being sealed ]
//! ```
//! Where nothing waits in `tx` it also holds the message that is being served.

use core::ops::Range;

use hushwire_core::{
    limits::{BASE_BODY, MIN_LINK_FRAME},
    link::{HEAD_ROOM, LinkLimits, TAIL_ROOM},
    wire::frame::PREFIX_LEN,
};

/// Bytes of the largest record that this device takes.
pub(super) const MAX_RECORD: usize = MIN_LINK_FRAME as usize + PREFIX_LEN + TAIL_ROOM;
const IN: usize = HEAD_ROOM + MAX_RECORD;
/// Room for the largest frame, and for the body that goes into it.
pub(super) const OUT: usize = FRAME_AT + MIN_LINK_FRAME as usize + BASE_BODY;
/// Where a frame begins in `tx`.
pub(super) const FRAME_AT: usize = HEAD_ROOM + PREFIX_LEN;

/// See the module.
#[derive(Debug)]
pub struct Wire {
    rx: [u8; IN],
    /// Frames of an opened record.
    pub(super) frames: Range<usize>,
    /// Bytes received and not yet opened; where `frames` is not empty, behind them.
    pub(super) raw: Range<usize>,
    pub(super) tx: [u8; OUT],
    /// Bytes that wait for the socket.
    pub(super) pending: Range<usize>,
}

impl Wire {
    pub(super) const fn new() -> Self {
        Self {
            rx: [0; IN],
            frames: 0..0,
            raw: 0..0,
            tx: [0; OUT],
            pending: 0..0,
        }
    }

    /// Forgets a connection.
    pub(super) const fn clear(&mut self) {
        self.frames = 0..0;
        self.raw = 0..0;
        self.pending = 0..0;
    }

    /// Whether [`Self::put`] takes anything.
    pub(super) fn has_room(&self) -> bool {
        let kept = if self.frames.is_empty() {
            self.raw.len()
        } else {
            self.raw.end
        };
        kept < self.rx.len()
    }

    /// Takes as much of `bytes` as has room; says how much.
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        if self.frames.is_empty() && self.raw.start > 0 {
            self.rx.copy_within(self.raw.clone(), 0);
            self.raw = 0..self.raw.len();
        }
        let room = self.rx.get_mut(self.raw.end..).unwrap_or_default();
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.raw.end += len;
        len
    }

    /// Received and not yet opened.
    pub(super) fn raw(&mut self) -> &mut [u8] {
        self.rx.get_mut(self.raw.clone()).unwrap_or_default()
    }

    /// Cuts a message of `len` bytes off the front of what was received. Its place, behind its
    /// length, is `frames` from then on.
    pub(super) fn take(&mut self, len: usize) -> &mut [u8] {
        let start = self.raw.start + HEAD_ROOM;
        self.frames = start..start + len;
        self.raw.start = self.frames.end;
        self.rx.get_mut(self.frames.clone()).unwrap_or_default()
    }

    /// Received bytes at a place.
    pub(super) fn received(&self, place: Range<usize>) -> &[u8] {
        self.rx.get(place).unwrap_or_default()
    }

    /// The next whole frame, taken off `frames`. `Err`: what is there is none.
    pub(super) fn next_frame(&mut self) -> Result<Option<&mut [u8]>, ()> {
        let Some(rest) = self
            .rx
            .get(self.frames.clone())
            .filter(|rest| !rest.is_empty())
        else {
            return Ok(None);
        };
        let (length, rest) = rest.split_first_chunk::<PREFIX_LEN>().ok_or(())?;
        let len = usize::from(u16::from_be_bytes(*length));
        if len == 0 || len > rest.len() {
            return Err(());
        }
        let start = self.frames.start + PREFIX_LEN;
        self.frames.start = start + len;
        Ok(self.rx.get_mut(start..start + len))
    }

    /// What this device tells its relay.
    pub(super) fn limits() -> Option<LinkLimits> {
        LinkLimits::new(MAX_RECORD as u16, MIN_LINK_FRAME, 1).ok()
    }
}

const _: () = assert!(
    MAX_RECORD <= u16::MAX as usize,
    "a record's length has two bytes"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_the_least_that_a_link_allows() {
        let limits = Wire::limits().unwrap();
        assert_eq!(usize::from(limits.max_record()), MAX_RECORD);
        assert!(LinkLimits::new(limits.max_record() - 1, limits.max_frame(), 1).is_err());
    }

    #[test]
    fn records_and_frames_come_out_however_the_stream_is_cut() {
        for step in [1, 7, 400, IN] {
            let mut wire = Box::new(Wire::new());
            let mut stream = Vec::new();
            for n in 0..40_u8 {
                let frame = std::vec![n; 1 + usize::from(n) * 30];
                let mut record = (frame.len() as u16).to_be_bytes().to_vec();
                record.extend(&frame);
                record.extend([0, 1, n]);
                stream.extend((record.len() as u16).to_be_bytes());
                stream.extend(record);
            }
            let (mut rest, mut seen) = (&stream[..], 0);
            while seen < 40 {
                let taken = wire.put(&rest[..step.min(rest.len())]);
                rest = &rest[taken..];
                let raw = wire.raw();
                let Some(len) = raw
                    .first_chunk()
                    .map(|len| usize::from(u16::from_be_bytes(*len)))
                else {
                    continue;
                };
                if raw.len() < HEAD_ROOM + len {
                    assert!(taken > 0, "there is room for a whole record");
                    continue;
                }
                wire.take(len);
                let frame = wire.next_frame().unwrap().unwrap();
                assert!(
                    frame.len() == 1 + seen * 30 && frame.iter().all(|b| usize::from(*b) == seen)
                );
                assert_eq!(wire.next_frame().unwrap().unwrap(), &[seen as u8]);
                assert!(wire.next_frame().unwrap().is_none());
                seen += 1;
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_no_frames() {
        for plaintext in [&[0, 0][..], &[0], &[0, 5, 1, 2], &[255, 255, 1]] {
            let mut wire = Wire::new();
            wire.put(&(plaintext.len() as u16).to_be_bytes());
            wire.put(plaintext);
            wire.take(plaintext.len());
            assert_eq!(wire.next_frame(), Err(()));
        }
    }
}
