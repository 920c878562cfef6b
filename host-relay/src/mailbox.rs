//! One mailbox in memory: what waits for an identity, in order, without the envelopes themselves.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;

use smallvec::smallvec;

use crate::fresh::{Fresh, FreshOnes, Waiting};
use crate::limits::Limits;
use crate::relay::ConnId;
use crate::shares::Shares;

/// A message that waits. There may be millions: what only a new one needs is in [`Fresh`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its row in the store.
    pub(crate) arrival: u64,
    /// Its place in this mailbox.
    pub(crate) sequence: u64,
    pub(crate) sender: Address,
    pub(crate) id: EnvelopeId,
    /// Bytes of the envelope.
    pub(crate) len: u32,
}

/// A message that left its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) entry: Entry,
    /// Unless it was durable.
    fresh: Option<Fresh>,
}

impl Removed {
    pub(crate) fn is_durable(&self) -> bool {
        self.fresh.is_none()
    }

    /// Whether the disk has the row, or is about to.
    pub(crate) fn is_written(&self) -> bool {
        self.fresh.as_ref().is_none_or(|fresh| fresh.written)
    }

    /// Who was never told that it is accepted.
    pub(crate) fn into_waiting(self) -> Waiting {
        self.fresh.map(|fresh| fresh.waiting).unwrap_or_default()
    }
}

/// Whether a message survives a power cut.
#[derive(Debug)]
pub(crate) enum State<'a> {
    Fresh(&'a mut Fresh),
    Durable,
}

/// The messages of one identity, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    entries: VecDeque<Entry>,
    /// Four bytes of each entry's id: few lines of memory where the entries are many.
    marks: VecDeque<u32>,
    fresh: FreshOnes,
    bytes: u64,
    shares: Shares,
    /// Sequences by envelope, once there are more than `LOOKED_THROUGH` entries.
    index: Option<HashMap<EnvelopeId, u64>>,
}

/// Entries at the end that are looked through first.
const NEWEST: usize = 8;
/// Entries whose marks are looked through: up to here no index is kept, which would cost each message
/// three visits to memory that no cache has.
const LOOKED_THROUGH: usize = 256;
/// Marks that are compared at once.
const AT_ONCE: usize = 16;
/// A mailbox that needs more room takes so many entries more, or a fourth of what it has.
const MORE: usize = 4;

fn mark(id: &EnvelopeId) -> u32 {
    u32::from_ne_bytes(id.0.first_chunk().copied().unwrap_or_default())
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn messages(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sequence of the newest message, 0 for none.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.sequence)
    }

    /// Whether one more envelope of `len` bytes from `sender` fits.
    pub(crate) fn admit(&self, sender: &Address, len: u64, limits: &Limits) -> Result<(), Reason> {
        let shares = u64::from(limits.sender_share.max(1));
        let share_bytes = limits.mailbox_bytes / shares;
        if len > share_bytes {
            return Err(Reason::TooLarge);
        }
        if self.entries.len() >= limits.mailbox_messages as usize
            || self.bytes + len > limits.mailbox_bytes
        {
            return Err(Reason::MailboxFull);
        }

        let share = self.shares.of(sender);
        let share_messages = (u64::from(limits.mailbox_messages) / shares).max(1);
        if share.messages >= share_messages || share.bytes + len > share_bytes {
            return Err(Reason::ShareFull);
        }
        Ok(())
    }

    /// Appends a message that the disk has; sequences only rise.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert!(entry.sequence > self.last_sequence());
        self.count(&entry);
        self.marks.push_back(mark(&entry.id));
        self.entries.push_back(entry);
    }

    /// Puts a message that the disk has in its place. False where there is one with its sequence.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        if entry.sequence > self.last_sequence() {
            self.push(entry);
            return true;
        }
        let place = self
            .entries
            .binary_search_by_key(&entry.sequence, |entry| entry.sequence);
        let Err(place) = place else {
            return false;
        };
        self.count(&entry);
        self.marks.insert(place, mark(&entry.id));
        self.entries.insert(place, entry);
        true
    }

    /// What changes with one more message, wherever it goes, and room for it.
    fn count(&mut self, entry: &Entry) {
        self.bytes += u64::from(entry.len);
        self.shares.add(entry.sender, u64::from(entry.len));
        if let Some(index) = &mut self.index {
            index.insert(entry.id, entry.sequence);
        } else if self.entries.len() >= LOOKED_THROUGH {
            let all = self.entries.iter().chain([entry]);
            self.index = Some(all.map(|entry| (entry.id, entry.sequence)).collect());
        }
        if self.entries.len() == self.entries.capacity() {
            // A queue that doubles leaves a third of its room empty, or half.
            let more = (self.entries.len() / 4).max(MORE);
            self.entries.reserve_exact(more);
            self.marks.reserve_exact(more);
        }
    }

    /// Appends a message that is new, for which `conn` waits.
    pub(crate) fn push_fresh(&mut self, entry: Entry, record: Arc<[u8]>, conn: ConnId) {
        self.fresh.push(Fresh {
            sequence: entry.sequence,
            written: false,
            record,
            waiting: smallvec![conn],
        });
        self.push(entry);
    }

    /// What is kept of a message that is not durable.
    pub(crate) fn fresh(&self, sequence: u64) -> Option<&Fresh> {
        self.fresh.get(sequence)
    }

    /// Sequences of the messages that were not handed to the disk.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = u64> {
        let unwritten = self.fresh.iter().filter(|fresh| !fresh.written);
        unwritten.map(|fresh| fresh.sequence)
    }

    /// Whether the message is in memory only.
    pub(crate) fn is_unwritten(&self, sequence: u64) -> bool {
        self.fresh.get(sequence).is_some_and(|fresh| !fresh.written)
    }

    /// Notes that the row is handed to the disk. Entry and record, unless that was done before.
    pub(crate) fn write(&mut self, sequence: u64) -> Option<(Entry, Arc<[u8]>)> {
        let entry = *self.entries.get(self.place_of_sequence(sequence)?)?;
        let fresh = self.fresh.get_mut(sequence);
        let fresh = fresh.filter(|fresh| !fresh.written)?;
        fresh.written = true;
        Some((entry, Arc::clone(&fresh.record)))
    }

    /// The disk has the message: its id, and who waits to hear that.
    pub(crate) fn settle(&mut self, sequence: u64) -> Option<(EnvelopeId, Waiting)> {
        let id = self.entries.get(self.place_of_sequence(sequence)?)?.id;
        let fresh = self.fresh.remove(sequence)?;
        Some((id, fresh.waiting))
    }

    fn place_of_id(&self, id: &EnvelopeId) -> Option<usize> {
        match &self.index {
            Some(index) => self.place_of_sequence(*index.get(id)?),
            None => {
                let (front, back) = self.marks.as_slices();
                let in_front = self.look_through(front, 0, id);
                in_front.or_else(|| self.look_through(back, front.len(), id))
            }
        }
    }

    /// The place of `id` among the entries whose marks these are, of which the first is at `start`.
    fn look_through(&self, marks: &[u32], start: usize, id: &EnvelopeId) -> Option<usize> {
        let wanted = mark(id);
        let is_it = |place: usize| self.entries.get(place).is_some_and(|entry| entry.id == *id);
        for (chunk, some) in marks.chunks(AT_ONCE).enumerate() {
            // Without a branch for each, so that the processor compares them together.
            if some.iter().fold(false, |any, mark| any | (*mark == wanted)) {
                let first = start + chunk * AT_ONCE;
                if let Some(place) = (first..first + some.len()).find(|place| is_it(*place)) {
                    return Some(place);
                }
            }
        }
        None
    }

    fn place_of_sequence(&self, sequence: u64) -> Option<usize> {
        // Who was just stored is asked for most, and is near the end.
        let newest = self.entries.len().saturating_sub(NEWEST);
        if self.entries.get(newest)?.sequence <= sequence {
            let mut newer = self.entries.range(newest..);
            return newer
                .position(|entry| entry.sequence == sequence)
                .map(|place| newest + place);
        }
        self.entries
            .binary_search_by_key(&sequence, |entry| entry.sequence)
            .ok()
    }

    /// What became of the message so far, if it is here.
    pub(crate) fn state(&mut self, id: &EnvelopeId) -> Option<State<'_>> {
        let sequence = self.entries.get(self.place_of_id(id)?)?.sequence;
        Some(match self.fresh.get_mut(sequence) {
            Some(fresh) => State::Fresh(fresh),
            None => State::Durable,
        })
    }

    /// The first message behind `sequence`.
    pub(crate) fn after(&self, sequence: u64) -> Option<&Entry> {
        // Whoever has all but the last is asked for most.
        let mut newest = self.entries.iter().rev();
        let last = newest.next().filter(|entry| entry.sequence > sequence)?;
        if newest.next().is_none_or(|entry| entry.sequence <= sequence) {
            return Some(last);
        }
        let index = self
            .entries
            .partition_point(|entry| entry.sequence <= sequence);
        self.entries.get(index)
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Removed> {
        self.remove_at(self.place_of_sequence(sequence)?)
    }

    pub(crate) fn take(&mut self, id: &EnvelopeId) -> Option<Removed> {
        // Messages are answered in their order, mostly.
        match self.entries.front()?.id == *id {
            true => self.remove_at(0),
            false => self.remove_at(self.place_of_id(id)?),
        }
    }

    fn remove_at(&mut self, place: usize) -> Option<Removed> {
        let entry = self.entries.remove(place)?;
        self.marks.remove(place);
        self.bytes -= u64::from(entry.len);
        if let Some(index) = &mut self.index {
            index.remove(&entry.id);
        }
        self.shares.subtract(&entry.sender, u64::from(entry.len));
        let fresh = self.fresh.remove(entry.sequence);
        Some(Removed { entry, fresh })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, sender: u8, len: u32) -> Entry {
        Entry {
            arrival: sequence,
            sequence,
            sender: Address([sender; 20]),
            id: EnvelopeId([sequence as u8; 16]),
            len,
        }
    }

    fn limits() -> Limits {
        Limits {
            mailbox_messages: 8,
            mailbox_bytes: 800,
            ..Limits::default()
        }
    }

    #[test]
    fn a_quarter_for_each_sender_by_messages_and_by_bytes() {
        let (alice, bob) = (Address([1; 20]), Address([2; 20]));
        let mut mailbox = Mailbox::default();
        mailbox.push(entry(1, 1, 10));
        assert_eq!(mailbox.admit(&alice, 10, &limits()), Ok(()));
        mailbox.push(entry(2, 1, 10));
        assert_eq!(mailbox.admit(&alice, 10, &limits()), Err(Reason::ShareFull));
        assert_eq!(mailbox.admit(&bob, 200, &limits()), Ok(()));
        assert_eq!(mailbox.admit(&bob, 201, &limits()), Err(Reason::TooLarge));
        mailbox.push(entry(3, 2, 150));
        assert_eq!(mailbox.admit(&bob, 50, &limits()), Ok(()));
        assert_eq!(mailbox.admit(&bob, 51, &limits()), Err(Reason::ShareFull));
    }

    #[test]
    fn a_full_mailbox_takes_nothing_from_anybody() {
        let mut mailbox = Mailbox::default();
        for n in 1..=8 {
            mailbox.push(entry(n, n as u8, 1));
        }
        let stranger = Address([99; 20]);
        assert_eq!(
            mailbox.admit(&stranger, 1, &limits()),
            Err(Reason::MailboxFull)
        );
        mailbox.remove(3);
        assert_eq!(mailbox.admit(&stranger, 1, &limits()), Ok(()));
        assert_eq!((mailbox.messages(), mailbox.bytes()), (7, 7));
    }

    #[test]
    fn a_durable_message_takes_56_bytes_and_its_mark() {
        assert_eq!(size_of::<Entry>(), 56);
        let mut mailbox = Mailbox::default();
        for n in 1..=1000 {
            mailbox.push(entry(n, 1, 1));
        }
        // A fourth more at most, and what the allocator's classes add.
        assert!(mailbox.entries.capacity() <= 1250);
        assert!(mailbox.marks.capacity() <= 1250);
    }

    #[test]
    fn what_a_new_message_needs_goes_when_the_disk_has_it() {
        let record: Arc<[u8]> = Arc::from([7; 3]);
        let id = |n: u64| entry(n, 1, 3).id;
        let mut mailbox = Mailbox::default();
        mailbox.push(entry(1, 1, 3));
        for n in 2..=5 {
            mailbox.push_fresh(entry(n, 1, 3), Arc::clone(&record), ConnId(n));
        }
        assert_eq!(mailbox.unwritten().collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(matches!(mailbox.state(&id(1)), Some(State::Durable)));
        assert_eq!(mailbox.fresh(4).unwrap().record, record);

        assert_eq!(mailbox.write(1), None, "the disk has it");
        for n in [4, 2] {
            assert_eq!(mailbox.write(n).unwrap().0, entry(n, 1, 3));
            assert_eq!(mailbox.write(n), None, "it was handed over");
        }
        assert_eq!(mailbox.unwritten().collect::<Vec<_>>(), [3, 5]);

        let Some(State::Fresh(fresh)) = mailbox.state(&id(4)) else {
            panic!("not durable yet");
        };
        fresh.waiting.push(ConnId(9));
        let waiting: Waiting = smallvec![ConnId(4), ConnId(9)];
        assert_eq!(mailbox.settle(4), Some((id(4), waiting)));
        assert_eq!(mailbox.settle(4), None);
        assert!(mailbox.fresh(4).is_none());
        assert!(matches!(mailbox.state(&id(4)), Some(State::Durable)));

        // Durable, handed over, and neither.
        let taken = mailbox.take(&id(4)).unwrap();
        assert!(taken.is_durable() && taken.is_written());
        let taken = mailbox.take(&id(2)).unwrap();
        assert!(!taken.is_durable() && taken.is_written());
        assert_eq!(taken.into_waiting()[..], [ConnId(2)]);
        let taken = mailbox.remove(3).unwrap();
        assert!(!taken.is_durable() && !taken.is_written());
        assert_eq!(taken.into_waiting()[..], [ConnId(3)]);

        assert!(mailbox.write(5).is_some() && mailbox.settle(5).is_some());
        assert_eq!(mailbox.fresh.capacity(), 0, "nothing new, no room for it");
        assert_eq!((mailbox.messages(), mailbox.bytes()), (2, 6));
    }

    #[test]
    fn order_survives_removal() {
        let mut mailbox = Mailbox::default();
        for n in [3, 5, 9] {
            mailbox.push(entry(n, 1, 1));
        }
        assert_eq!(mailbox.after(0).unwrap().sequence, 3);
        assert_eq!(mailbox.after(3).unwrap().sequence, 5);
        mailbox.remove(5);
        assert_eq!(mailbox.after(3).unwrap().sequence, 9);
        assert!(mailbox.remove(5).is_none());
        assert!(mailbox.after(9).is_none());
        assert_eq!(
            mailbox.take(&EnvelopeId([9; 16])).unwrap().entry.sequence,
            9
        );
    }

    #[test]
    fn a_long_mailbox_finds_and_counts_what_it_holds() {
        let mut mailbox = Mailbox::default();
        let limits = Limits {
            mailbox_messages: 200,
            ..limits()
        };
        for n in 1..=50 {
            mailbox.push(entry(n, (n % 2) as u8, 1));
        }
        for n in (1..=50).step_by(3) {
            assert_eq!(mailbox.remove(n).unwrap().entry.sequence, n);
        }
        for n in 1..=50_u64 {
            let found = mailbox.state(&EnvelopeId([n as u8; 16]));
            assert_eq!(found.is_some(), n % 3 != 1);
        }
        // The first sender holds 16 of its 25; a quarter of the mailbox is 50.
        let admit = |mailbox: &Mailbox| mailbox.admit(&Address([1; 20]), 1, &limits);
        for n in 51..=84 {
            assert_eq!(admit(&mailbox), Ok(()), "{n}");
            mailbox.push(entry(n, 1, 1));
        }
        assert_eq!(
            mailbox
                .iter()
                .filter(|entry| entry.sender.0[0] == 1)
                .count(),
            50
        );
        assert_eq!(admit(&mailbox), Err(Reason::ShareFull));
    }

    #[test]
    fn ids_are_found_with_and_without_an_index_whatever_was_removed() {
        let id = |n: u64| {
            EnvelopeId([
                (n % 7) as u8,
                0,
                0,
                0,
                n as u8,
                (n >> 8) as u8,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ])
        };
        let mut mailbox = Mailbox::default();
        for n in 1..=600_u64 {
            mailbox.push(Entry {
                id: id(n),
                ..entry(n, 1, 1)
            });
            // From the front, so that what is kept wraps around, and now and then from within.
            if n % 3 == 0 {
                let first = mailbox.iter().next().unwrap().id;
                assert_eq!(mailbox.take(&first).unwrap().entry.id, first);
            }
            if n % 10 == 0 {
                assert_eq!(mailbox.take(&id(n)).unwrap().entry.sequence, n);
            }
            let kept: Vec<_> = mailbox
                .iter()
                .map(|entry| (entry.id, entry.sequence))
                .collect();
            assert_eq!(kept.len(), mailbox.marks.len());
            for (id, sequence) in kept {
                let place = mailbox.place_of_id(&id).unwrap();
                assert_eq!(mailbox.entries[place].sequence, sequence);
            }
            assert!(mailbox.state(&id(n + 1)).is_none());
        }
        assert!(mailbox.index.is_some());
    }
}
