//! What the logic knows of one connection.

use std::collections::VecDeque;

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
    window: u16,
    /// The sequence of the last message that was sent here.
    pub(super) cursor: u64,
    window_bytes: u32,
    /// Deliveries that were not answered yet, and their bytes: oldest first, as they are answered.
    in_flight: VecDeque<(EnvelopeId, u32)>,
    in_flight_bytes: u32,
    /// Notices that were sent and not noted yet.
    pub(super) told: Vec<(NoticeKind, Address)>,
}

impl Peer {
    pub(super) fn new(address: Address, limits: PeerLimits, own: &Limits) -> Self {
        Self {
            address,
            standing: Standing::Member,
            limits,
            window: limits.window.clamp(1, own.window.max(1)),
            window_bytes: own.window_bytes,
            cursor: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
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
        let bytes = self.in_flight_bytes.saturating_add(len);
        self.in_flight.is_empty()
            || self.in_flight.len() < usize::from(self.window) && bytes <= self.window_bytes
    }

    pub(super) fn delivered(&mut self, id: EnvelopeId, len: u32, sequence: u64) {
        self.in_flight.push_back((id, len));
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(len);
        self.cursor = sequence;
    }

    pub(super) fn answered(&mut self, id: &EnvelopeId) {
        let place = self.in_flight.iter().position(|(waiting, _)| waiting == id);
        if let Some((_, len)) = place.and_then(|place| self.in_flight.remove(place)) {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(len);
        }
        if self.in_flight.is_empty() {
            // An idle connection holds no room for a burst.
            self.in_flight = VecDeque::new();
        }
    }

    /// Nothing that was sent is waited for any more.
    pub(super) fn forget(&mut self) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.told.clear();
    }
}
