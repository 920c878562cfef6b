//! What the logic knows of one connection.

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;

/// What a client stated in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// The largest record that it takes, tag included.
    pub max_record: u16,
    /// The largest frame that it takes.
    pub max_frame: u16,
    /// How many unacknowledged deliveries it takes.
    pub window: u16,
}

/// A frame's length prefix and a record's tag.
const RECORD_OVERHEAD: u16 = 2 + 16;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: Address,
    limits: PeerLimits,
    window: usize,
    /// The sequence of the last message that was sent here.
    pub(super) cursor: u64,
    /// Deliveries that were not answered yet.
    pub(super) in_flight: Vec<EnvelopeId>,
    /// Notices that were sent and not noted yet.
    pub(super) told: Vec<(NoticeKind, Address)>,
}

impl Peer {
    pub(super) fn new(address: Address, limits: PeerLimits, largest_window: u16) -> Self {
        let window = usize::from(limits.window.clamp(1, largest_window.max(1)));
        Self {
            address,
            limits,
            window,
            cursor: 0,
            in_flight: Vec::new(),
            told: Vec::new(),
        }
    }

    /// The largest frame that fits a record, too.
    pub(super) fn max_frame(&self) -> u16 {
        self.limits
            .max_frame
            .min(self.limits.max_record.saturating_sub(RECORD_OVERHEAD))
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < self.window
    }

    pub(super) fn answered(&mut self, id: &EnvelopeId) {
        self.in_flight.retain(|waiting| waiting != id);
    }
}
