//! What waits to be written on one connection: filled by the logic's task, emptied by the
//! connection's. It never blocks the former; a reader too slow for it is disconnected.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::request::Answer;

/// A queue, its end, and a bell.
///
/// The lock is a plain one: it is held for a push or a swap, never across an await, and only two
/// tasks know it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    answers: VecDeque<Answer>,
    end: Option<End>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After what is queued is written.
    Orderly,
    /// At once: the reader is too slow.
    Overflow,
}

impl Outbox {
    /// Queues `answers` and leaves them empty; with more than `limit` waiting the connection ends.
    pub(crate) fn append(&self, answers: &mut VecDeque<Answer>, limit: usize) {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return answers.clear();
        }
        if queue.answers.len() + answers.len() > limit {
            answers.clear();
            queue.answers = VecDeque::new();
            queue.end = Some(End::Overflow);
        } else if queue.answers.is_empty() {
            std::mem::swap(&mut queue.answers, answers);
        } else {
            queue.answers.append(answers);
            // An idle connection holds no room for a burst.
            *answers = VecDeque::new();
        }
        drop(queue);
        self.bell.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().end.get_or_insert(End::Orderly);
        self.bell.notify_one();
    }

    /// Takes everything that waits.
    pub(crate) fn take(&self) -> (VecDeque<Answer>, Option<End>) {
        let mut queue = self.lock();
        (std::mem::take(&mut queue.answers), queue.end)
    }

    /// Returns when something changed since the last `take`.
    pub(crate) async fn changed(&self) {
        self.bell.notified().await;
    }

    /// Returns when the reader proved too slow. It takes every ring of the bell: whoever drops it
    /// before must [`Self::ring`], or what came meanwhile waits for the next answer.
    pub(crate) async fn overflowed(&self) {
        loop {
            self.bell.notified().await;
            if self.lock().end == Some(End::Overflow) {
                return;
            }
        }
    }

    /// Makes `changed` return once more.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::wire::EnvelopeId;

    use super::*;

    #[test]
    fn too_many_answers_end_the_connection() {
        let outbox = Outbox::default();
        let some = |count| vec![Answer::Accepted(EnvelopeId([0; 16])); count].into();
        outbox.append(&mut some(1), 2);
        outbox.append(&mut some(1), 2);
        assert_eq!(outbox.take().0.len(), 2);
        outbox.append(&mut some(2), 2);
        outbox.append(&mut some(1), 2);
        let (answers, end) = outbox.take();
        assert_eq!((answers.len(), end), (0, Some(End::Overflow)));
    }

    #[test]
    fn an_orderly_end_keeps_what_was_queued() {
        let outbox = Outbox::default();
        outbox.append(&mut [Answer::Accepted(EnvelopeId([0; 16]))].into(), 2);
        outbox.close();
        outbox.append(&mut [Answer::Accepted(EnvelopeId([1; 16]))].into(), 2);
        let (answers, end) = outbox.take();
        assert_eq!((answers.len(), end), (1, Some(End::Orderly)));
    }
}
