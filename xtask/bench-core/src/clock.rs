//! Rounds in turn, so that whatever else the machine does falls on both sides alike.

use std::time::Instant;

use crate::subject::Subject;

/// How often each operation is timed on each side; the median of the rounds is the figure.
pub(crate) const ROUNDS: usize = 31;
/// Messages in a round.
const MESSAGES: usize = 200;
/// Session starts in a round.
const STARTS: usize = 10;
/// Bytes of user data.
pub(crate) const BODIES: [usize; 3] = [16, 256, 1024];

/// Nanoseconds of one operation, a value for each round.
#[derive(Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn median(&mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// One side's figures, by the names of [`names`].
pub(crate) struct Figures(pub(crate) Vec<Rounds>);

/// The operations, in the order of a round.
pub(crate) fn names() -> Vec<String> {
    let mut names = Vec::new();
    for body in BODIES {
        names.extend([format!("seal {body} B"), format!("open {body} B")]);
    }
    names.push("seal 256 B with a ratchet step".into());
    names.push("open 256 B with a ratchet step".into());
    names.push("session start, initiator".into());
    names.push("session start, responder".into());
    names
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self(names().iter().map(|_| Rounds::default()).collect())
    }

    /// Times every operation once more.
    pub(crate) fn round<S: Subject>(&mut self, conversation: &mut S) {
        let mut times = Vec::new();
        for body in BODIES {
            let body = vec![0x5a; body];
            let mut sealed = Vec::with_capacity(MESSAGES);
            times.push(each(MESSAGES, || sealed.push(conversation.seal(&body))));
            let mut sealed = sealed.into_iter();
            times.push(each(MESSAGES, || {
                sealed
                    .by_ref()
                    .take(1)
                    .for_each(|message| conversation.open(message, &body));
            }));
        }
        times.extend(steps(conversation));
        times.extend(starts::<S>());
        for (rounds, time) in self.0.iter_mut().zip(times) {
            rounds.0.push(time);
        }
    }
}

/// Seal and open when each message carries a new ratchet key.
fn steps<S: Subject>(conversation: &mut S) -> [f64; 2] {
    let body = [0x5a; 256];
    let (mut seal, mut open) = (0.0, 0.0);
    for _ in 0..STARTS {
        conversation.answer(&body);
        let mut sealed = None;
        seal += each(1, || sealed = Some(conversation.seal(&body)));
        open += each(1, || {
            if let Some(message) = sealed.take() {
                conversation.open(message, &body);
            }
        });
    }
    [seal, open].map(|sum| sum / STARTS as f64)
}

/// A whole asynchronous start, its first message of 16 bytes included.
fn starts<S: Subject>() -> [f64; 2] {
    let mut published: Vec<_> = (0..STARTS).map(|_| S::publish()).collect();
    let mut first = Vec::with_capacity(STARTS);
    let mut offers = published.iter().map(|(_, offer)| offer);
    let initiator = each(STARTS, || {
        first.extend(offers.by_ref().take(1).map(S::initiate))
    });
    let mut pairs = published.iter_mut().zip(first);
    let responder = each(STARTS, || {
        pairs
            .by_ref()
            .take(1)
            .for_each(|((recipient, _), first)| S::accept(recipient, first));
    });
    [initiator, responder]
}

/// Nanoseconds of one of `count` calls.
fn each(count: usize, mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..count {
        work();
    }
    started.elapsed().as_nanos() as f64 / count as f64
}
