//! What waits to be told to the relays, in order, and only once what it rests on was committed.

use heapless::Vec;

use super::{Outgoing, drop_at};
use crate::evidence::Persisted;

/// The first `released` entries rest on what was committed; the others wait for the next commit.
#[derive(Debug)]
pub(super) struct Queue<const QUEUE: usize, const LINKS: usize> {
    entries: Vec<(u8, Outgoing), QUEUE>,
    released: usize,
}

impl<const QUEUE: usize, const LINKS: usize> Queue<QUEUE, LINKS> {
    /// Entries that are kept free for each link: half of the queue in equal parts, and never none.
    /// A relay that does not read what is told to it fills the rest, and no more.
    const RESERVED: usize = if QUEUE < 2 * LINKS {
        1
    } else {
        QUEUE / (2 * LINKS)
    };

    pub(super) const fn new() -> Self {
        const {
            assert!(
                0 < LINKS && LINKS <= QUEUE,
                "each link needs a place of its own"
            );
        }
        Self {
            entries: Vec::new(),
            released: 0,
        }
    }

    fn waiting_on(&self, link: u8) -> usize {
        self.entries.iter().filter(|(at, _)| *at == link).count()
    }

    /// Whether something for `link` may be held. Where not, `link` has something to take.
    pub(super) fn has_room(&self, link: u8) -> bool {
        if self.waiting_on(link) < Self::RESERVED {
            return true;
        }
        let taken = (0..).take(LINKS).fold(0_usize, |taken, link| {
            taken.saturating_add(self.waiting_on(link).max(Self::RESERVED))
        });
        taken < QUEUE
    }

    /// Holds something back until the next commit. `false`: there is no room.
    pub(super) fn hold(&mut self, link: u8, outgoing: Outgoing) -> bool {
        self.has_room(link) && self.entries.push((link, outgoing)).is_ok()
    }

    /// Lets everything go that was held.
    pub(super) fn release(&mut self, _evidence: &Persisted) {
        self.released = self.entries.len();
    }

    /// The next one for `link` that was let go.
    pub(super) fn take(&mut self, link: u8) -> Option<Outgoing> {
        let mut released = self.entries.iter().take(self.released).enumerate();
        let (at, (_, outgoing)) = released.find(|(_, (to, _))| *to == link)?;
        let outgoing = *outgoing;
        self.released = self.released.saturating_sub(1);
        drop_at(&mut self.entries, at);
        Some(outgoing)
    }

    /// Forgets what waits for a link that ended.
    pub(super) fn forget(&mut self, link: u8) {
        let released = self.entries.iter().take(self.released);
        self.released = released.filter(|(at, _)| *at != link).count();
        self.entries.retain(|(at, _)| *at != link);
    }

    /// Whether something may be taken.
    pub(super) const fn is_released(&self) -> bool {
        self.released > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence, wire::EnvelopeId};

    type Small = Queue<4, 2>;

    fn ack(n: u8) -> Outgoing {
        Outgoing::Ack(EnvelopeId([n; EnvelopeId::LEN]))
    }

    fn name(outgoing: Option<Outgoing>) -> Option<u8> {
        match outgoing? {
            Outgoing::Ack(id) => Some(id.0[0]),
            other => panic!("{other:?}"),
        }
    }

    fn commit<const Q: usize, const L: usize>(queue: &mut Queue<Q, L>) {
        evidence::after(&mut (), |()| Ok::<_, ()>(()), |(), p| queue.release(p)).unwrap();
    }

    #[test]
    fn nothing_leaves_before_its_commit() {
        let mut queue = Small::new();
        assert!(queue.hold(0, ack(1)));
        assert!(!queue.is_released());
        assert_eq!(name(queue.take(0)), None);
        commit(&mut queue);
        assert!(queue.hold(0, ack(2)));
        assert_eq!(name(queue.take(0)), Some(1));
        assert_eq!(name(queue.take(0)), None);
        commit(&mut queue);
        assert_eq!(name(queue.take(0)), Some(2));
    }

    #[test]
    fn what_was_held_later_stays_held_when_an_earlier_link_ends() {
        let mut queue = Queue::<8, 2>::new();
        for (link, n) in [(0, 1), (1, 2)] {
            assert!(queue.hold(link, ack(n)));
        }
        commit(&mut queue);
        assert!(queue.hold(1, ack(3)) && queue.hold(0, ack(4)));
        queue.forget(0);
        assert_eq!(name(queue.take(1)), Some(2));
        assert_eq!(name(queue.take(1)), None, "3 was not committed");
        commit(&mut queue);
        assert_eq!(name(queue.take(1)), Some(3));
        assert_eq!(name(queue.take(0)), None, "4 went with its link");
    }

    #[test]
    fn one_link_leaves_the_others_their_part() {
        let mut queue = Small::new();
        let held = (0..9).filter(|n| queue.hold(0, ack(*n))).count();
        assert_eq!(held, 3);
        assert!(queue.has_room(1) && queue.hold(1, ack(9)));
        assert!(!queue.has_room(1) && !queue.has_room(0));
        let mut alone = Queue::<4, 1>::new();
        assert_eq!((0..9).filter(|n| alone.hold(0, ack(*n))).count(), 4);
    }
}
