//! Emptied buffers that a thread keeps for whoever needs one next. Requests and answers go from task to task
//! in lists; to allocate and grow one for each read and each write would cost more than what is done with it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::thread::LocalKey;

use crate::request::{Answer, Request};

/// So many of a kind are kept by a thread.
const KEPT: usize = 64;
/// One with room for more is let go.
const LONGEST: usize = 64;

type Kept<B> = RefCell<Vec<B>>;

/// A list that can be lent.
pub(crate) trait Spare: Default + 'static {
    fn kept() -> &'static LocalKey<Kept<Self>>;

    fn room(&self) -> usize;

    fn empty(&mut self);
}

/// An empty one, with room if there is one to spare.
pub(crate) fn lend<B: Spare>() -> B {
    B::kept().with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Empties it, and keeps it for the next.
pub(crate) fn give_back<B: Spare>(mut buffer: B) {
    // Its elements may give something back themselves: not while the list is borrowed.
    buffer.empty();
    if (1..=LONGEST).contains(&buffer.room()) {
        B::kept().with_borrow_mut(|kept| {
            if kept.len() < KEPT {
                kept.push(buffer);
            }
        });
    }
}

thread_local! {
    static REQUESTS: Kept<Vec<Request>> = const { RefCell::new(Vec::new()) };
    static ANSWERS: Kept<VecDeque<Answer>> = const { RefCell::new(Vec::new()) };
}

impl Spare for Vec<Request> {
    fn kept() -> &'static LocalKey<Kept<Self>> {
        &REQUESTS
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn empty(&mut self) {
        self.clear();
    }
}

impl Spare for VecDeque<Answer> {
    fn kept() -> &'static LocalKey<Kept<Self>> {
        &ANSWERS
    }

    fn room(&self) -> usize {
        self.capacity()
    }

    fn empty(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::wire::EnvelopeId;

    use super::*;

    fn acks(count: usize) -> Vec<Request> {
        vec![Request::Ack(EnvelopeId([0; 16])); count]
    }

    #[test]
    fn what_is_given_back_is_lent_empty_and_with_its_room() {
        assert_eq!(lend::<Vec<Request>>().capacity(), 0);
        give_back(acks(LONGEST));
        let lent = lend::<Vec<Request>>();
        assert_eq!((lent.len(), lent.capacity()), (0, LONGEST));
        assert_eq!(lend::<Vec<Request>>().capacity(), 0, "there was one");
    }

    #[test]
    fn a_thread_keeps_few_and_none_that_is_long() {
        give_back(acks(LONGEST + 1));
        (0..KEPT + 9).for_each(|_| give_back(acks(1)));
        assert_eq!(REQUESTS.with_borrow(Vec::len), KEPT);
    }
}
