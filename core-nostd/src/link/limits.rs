//! [`LinkLimits`]: what each side of a link takes, said in its handshake payload. PROTOCOL 3.3
//!
//! ```text
//! largest record u16 ‖ largest frame u16 ‖ window u16
//! ```

use core::fmt;

use super::{HandshakeError, TAIL_ROOM};
use crate::{
    limits::MIN_LINK_FRAME,
    wire::{Reader, frame},
};

/// What one side of a link takes. A value of this type makes sense: see [`LinkLimits::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkLimits {
    max_record: u16,
    max_frame: u16,
    window: u16,
}

/// Limits under which no conversation is possible. Who states them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitsError {
    /// A frame of the largest size, its length and the record's tag are more than a record.
    FrameExceedsRecord,
    /// A frame cannot carry the message that every party takes: see
    /// [`crate::limits::MIN_LINK_FRAME`].
    FrameTooSmall,
    /// Nothing may be under way, so nothing is ever delivered.
    NoWindow,
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrameExceedsRecord => "the largest frame does not fit the largest record",
            Self::FrameTooSmall => "the largest frame is smaller than a message of 1 KiB needs",
            Self::NoWindow => "the delivery window is zero",
        })
    }
}

impl core::error::Error for LimitsError {}

impl LinkLimits {
    /// Length on the wire in bytes.
    pub const LEN: usize = 6;

    /// States limits: `max_record` in bytes of a record without its length (plaintext and tag),
    /// `max_frame` in bytes of opcode and body, `window` in deliveries not yet answered.
    ///
    /// # Errors
    /// [`LimitsError`] where they make no sense together.
    pub const fn new(max_record: u16, max_frame: u16, window: u16) -> Result<Self, LimitsError> {
        if max_frame < MIN_LINK_FRAME {
            return Err(LimitsError::FrameTooSmall);
        }
        if max_frame as usize + frame::PREFIX_LEN + TAIL_ROOM > max_record as usize {
            return Err(LimitsError::FrameExceedsRecord);
        }
        if window == 0 {
            return Err(LimitsError::NoWindow);
        }
        Ok(Self {
            max_record,
            max_frame,
            window,
        })
    }

    /// Bytes of the largest record without its length: plaintext and tag.
    #[must_use]
    pub const fn max_record(&self) -> u16 {
        self.max_record
    }

    /// Bytes of the largest frame: opcode and body.
    #[must_use]
    pub const fn max_frame(&self) -> u16 {
        self.max_frame
    }

    /// Deliveries that may be under way without an ack or refusal.
    #[must_use]
    pub const fn window(&self) -> u16 {
        self.window
    }

    pub(super) fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, HandshakeError> {
        let mut r = Reader::new(bytes);
        Self::new(r.u16()?, r.u16()?, r.u16()?).map_err(HandshakeError::Limits)
    }

    pub(super) const fn emit(&self) -> [u8; Self::LEN] {
        let [a, b] = self.max_record.to_be_bytes();
        let [c, d] = self.max_frame.to_be_bytes();
        let [e, f] = self.window.to_be_bytes();
        [a, b, c, d, e, f]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_carry_nothing_are_refused() {
        let (least, record) = (MIN_LINK_FRAME, MIN_LINK_FRAME + 18);
        let limits = LinkLimits::new(record, least, 1).unwrap();
        assert_eq!(LinkLimits::parse(&limits.emit()), Ok(limits));
        assert_eq!(
            LinkLimits::new(record - 1, least, 1),
            Err(LimitsError::FrameExceedsRecord)
        );
        assert_eq!(
            LinkLimits::new(u16::MAX, u16::MAX - 17, 1),
            Err(LimitsError::FrameExceedsRecord)
        );
        assert_eq!(
            LinkLimits::new(record, least - 1, 1),
            Err(LimitsError::FrameTooSmall)
        );
        assert_eq!(
            LinkLimits::new(record, least, 0),
            Err(LimitsError::NoWindow)
        );
        // A small device's own words.
        assert!(LinkLimits::new(1400, 1382, 1).is_ok());
    }
}
