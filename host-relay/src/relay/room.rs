//! Room in the store's file: new messages stop before the file outgrows `disk-bytes`, and go on when
//! enough was acknowledged, without a restart.
//!
//! While the file may grow by another step nothing is counted. Afterwards the engine says how many
//! bytes are free, which costs it a walk over its pages, and new messages spend half of that before it
//! is asked again. What they spend is not given back by acks: messages stand in the order of arrival,
//! so a page is free only when all on it are gone.

/// The largest step by which the engine's file grows; a smaller file doubles.
const LARGEST_STEP: u64 = 4 << 30;
/// A page of the engine.
const PAGE: u64 = 4096;
/// Beside its envelope a message has a header, a key, a checksum and its place in the page.
const BESIDE: u64 = 112;
/// The part of the file that stays free for deletions: they write whole pages before they free any,
/// and what one commit frees serves the next but one.
const RESERVE: u64 = 4;
/// The engine is asked again when so little may be written, as a part of the file.
const LITTLE: u64 = 32;

/// Bytes of the file that a message takes.
pub(super) fn cost(envelope: u64) -> u64 {
    let row = envelope + BESIDE;
    // What does not share a page has a power of two of them; what does leaves it half empty when the
    // page is split.
    if row > PAGE / 2 {
        row.next_multiple_of(PAGE).next_power_of_two()
    } else {
        2 * row
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// `disk-bytes`.
    most: u64,
    /// The file when the engine was asked last.
    file: u64,
    /// What may be written before the engine is asked again.
    budget: u64,
}

impl Room {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// The file has so many bytes now. Whether its free bytes have to be counted.
    pub(super) fn observe(&mut self, file: u64) -> bool {
        self.file = file;
        !self.may_grow() && self.budget < file / LITTLE
    }

    /// So many bytes of the file are free, and so many are on their way to it.
    pub(super) fn count(&mut self, free: u64, on_their_way: u64) {
        let half = free.saturating_sub(self.file / RESERVE) / 2;
        self.budget = half.saturating_sub(on_their_way);
    }

    /// Whether there is room for `cost` more bytes.
    pub(super) fn has(&self, cost: u64) -> bool {
        self.may_grow() || cost <= self.budget
    }

    /// They are written.
    pub(super) fn spend(&mut self, cost: u64) {
        self.budget = self.budget.saturating_sub(cost);
    }

    fn may_grow(&self) -> bool {
        self.file + self.file.min(LARGEST_STEP) <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn large_messages_take_powers_of_two_pages() {
        assert_eq!(cost(256), 736);
        assert_eq!(cost(3_000), 4_096);
        assert_eq!(cost(4_000), 8_192);
        assert_eq!(cost(16_000), 16_384);
        assert_eq!(cost(16_896), 32_768);
    }

    #[test]
    fn a_file_that_may_double_has_room_and_another_what_was_counted() {
        let mut room = Room::new(8 * MIB);
        assert!(!room.observe(4 * MIB), "it may double once more");
        assert!(room.has(100 * MIB));
        assert!(room.observe(8 * MIB), "now it may not");
        assert!(!room.has(1));
        room.count(4 * MIB, 0);
        // A quarter of the file is kept, and half of the rest lent.
        let lent = (4 * MIB - 2 * MIB) / 2;
        assert!(room.has(lent) && !room.has(lent + 1));
        assert!(!room.observe(8 * MIB), "enough for a while");
        room.spend(lent - 10);
        assert!(room.has(10) && !room.has(11));
        assert!(room.observe(8 * MIB), "to be counted again");
        room.count(2 * MIB, 0);
        assert!(!room.has(1), "what is left is for deletions");
    }

    #[test]
    fn what_is_on_its_way_is_no_room() {
        let mut room = Room::new(MIB);
        room.observe(MIB);
        room.count(MIB / 2, MIB);
        assert!(!room.has(1));
    }
}
