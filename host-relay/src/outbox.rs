//! What waits to be written on one connection: filled by the logic's task, emptied by the
//! connection's. It never blocks the former; a reader too slow for it is disconnected.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limits::Limits;
use crate::request::Answer;
use crate::spare;

/// What may wait for one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    frames: usize,
    /// What the answers take of the heap, those that are being written among them.
    bytes: usize,
}

impl Capacity {
    #[cfg(any(feature = "cluster", test))]
    pub(crate) const UNBOUNDED: Self = Self {
        frames: usize::MAX,
        bytes: usize::MAX,
    };

    /// Deliveries have the window for their bound, and everything else `outbox-bytes`.
    pub(crate) fn of(limits: &Limits) -> Self {
        let bytes = limits.window_bytes.saturating_add(limits.outbox_bytes);
        Self {
            frames: limits.outbox_frames as usize,
            bytes: bytes as usize,
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn times(self, times: usize) -> Self {
        Self {
            frames: self.frames.saturating_mul(times),
            bytes: self.bytes.saturating_mul(times),
        }
    }
}

/// A queue, its end, and a bell.
///
/// The lock is a plain one: it is held for a push or a swap, never across an await, and only two
/// tasks know it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Bytes that were taken and are not written yet.
    under_way: AtomicUsize,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    answers: VecDeque<Answer>,
    bytes: usize,
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
    /// Queues `answers` and leaves them empty; where there is no room for them the connection ends.
    pub(crate) fn append(&self, answers: &mut VecDeque<Answer>, capacity: Capacity) {
        let bytes: usize = answers.iter().map(Answer::bytes_beside).sum();
        let mut queue = self.lock();
        if queue.end.is_some() {
            return answers.clear();
        }
        let waits = queue.bytes + self.under_way.load(Ordering::Relaxed);
        if queue.answers.len() + answers.len() > capacity.frames || waits + bytes > capacity.bytes {
            answers.clear();
            *queue = Queue {
                end: Some(End::Overflow),
                ..Queue::default()
            };
            drop(queue);
            return self.bell.notify_one();
        }
        queue.bytes += bytes;
        if queue.answers.is_empty() {
            std::mem::swap(&mut queue.answers, answers);
        } else {
            queue.answers.append(answers);
            // An idle connection holds no room for a burst.
            spare::give_back(std::mem::take(answers));
        }
        drop(queue);
        self.bell.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().end.get_or_insert(End::Orderly);
        self.bell.notify_one();
    }

    /// Takes everything that waits, to write it. Until it is [`Self::written`] it takes room.
    pub(crate) fn take(&self) -> (VecDeque<Answer>, Option<End>) {
        let mut queue = self.lock();
        let bytes = std::mem::take(&mut queue.bytes);
        self.under_way.store(bytes, Ordering::Relaxed);
        (std::mem::take(&mut queue.answers), queue.end)
    }

    /// What was taken is written.
    pub(crate) fn written(&self) {
        self.under_way.store(0, Ordering::Relaxed);
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

    const TWO: Capacity = Capacity {
        frames: 2,
        bytes: 1000,
    };

    #[test]
    fn too_many_answers_end_the_connection() {
        let outbox = Outbox::default();
        let some = |count| vec![Answer::Accepted(EnvelopeId([0; 16])); count].into();
        outbox.append(&mut some(1), TWO);
        outbox.append(&mut some(1), TWO);
        assert_eq!(outbox.take().0.len(), 2);
        outbox.append(&mut some(2), TWO);
        outbox.append(&mut some(1), TWO);
        let (answers, end) = outbox.take();
        assert_eq!((answers.len(), end), (0, Some(End::Overflow)));
    }

    /// Few frames can be much: what is being written counts until it is.
    #[test]
    fn too_many_bytes_end_the_connection() {
        let outbox = Outbox::default();
        let long = || [Answer::Deliver([7; 500].into())].into();
        outbox.append(&mut long(), TWO);
        assert_eq!(outbox.take().0.len(), 1);
        outbox.written();
        outbox.append(&mut long(), TWO);
        assert_eq!(outbox.take(), (long(), None), "what is written is no more");
        outbox.append(&mut long(), TWO);
        outbox.append(&mut [Answer::Deliver([7].into())].into(), TWO);
        let (answers, end) = outbox.take();
        assert_eq!((answers.len(), end), (0, Some(End::Overflow)));
    }

    #[test]
    fn an_orderly_end_keeps_what_was_queued() {
        let outbox = Outbox::default();
        outbox.append(&mut [Answer::Accepted(EnvelopeId([0; 16]))].into(), TWO);
        outbox.close();
        outbox.append(&mut [Answer::Accepted(EnvelopeId([1; 16]))].into(), TWO);
        let (answers, end) = outbox.take();
        assert_eq!((answers.len(), end), (1, Some(End::Orderly)));
    }
}
