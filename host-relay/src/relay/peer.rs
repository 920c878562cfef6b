//! What the logic knows of one connection.

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;

use crate::limits::Limits;

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

/// What a connection's identity may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything: it is registered, or may be.
    Member,
    /// It needs an invitation first.
    Guest,
    /// It has shown the one of this number: it may publish.
    Invited(u64),
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: Address,
    pub(super) standing: Standing,
    limits: PeerLimits,
    window: usize,
    /// The sequence of the last message that was sent here.
    pub(super) cursor: u64,
    window_bytes: u64,
    /// Deliveries that were not answered yet, and their bytes.
    in_flight: Vec<(EnvelopeId, u32)>,
    /// Notices that were sent and not noted yet.
    pub(super) told: Vec<(NoticeKind, Address)>,
}

impl Peer {
    pub(super) fn new(address: Address, limits: PeerLimits, own: &Limits) -> Self {
        Self {
            address,
            standing: Standing::Member,
            limits,
            window: usize::from(limits.window.clamp(1, own.window.max(1))),
            window_bytes: u64::from(own.window_bytes),
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

    /// Whether one more delivery of so many bytes may be under way.
    pub(super) fn has_room(&self, len: u32) -> bool {
        let bytes: u64 = self.in_flight.iter().map(|(_, len)| u64::from(*len)).sum();
        self.in_flight.is_empty()
            || self.in_flight.len() < self.window && bytes + u64::from(len) <= self.window_bytes
    }

    pub(super) fn delivered(&mut self, id: EnvelopeId, len: u32, sequence: u64) {
        self.in_flight.push((id, len));
        self.cursor = sequence;
    }

    pub(super) fn answered(&mut self, id: &EnvelopeId) {
        self.in_flight.retain(|(waiting, _)| waiting != id);
    }

    /// Nothing that was sent is waited for any more.
    pub(super) fn forget(&mut self) {
        self.in_flight.clear();
        self.told.clear();
    }
}
