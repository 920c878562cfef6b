//! Who serves the store: whoever does answers on `hushwire.NAME.owner`.
//!
//! This is courtesy, not safety: it keeps a second relay from taking over one that works. What keeps
//! two from writing is the journal.

use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::journal::{Journal, trouble};
use super::node::AbortOnDrop;
use crate::store::StoreError;

/// Between two looks at who wrote last.
const LOOK: Duration = Duration::from_secs(3);
/// A relay that has the store and gets no answer of the cluster gives it up after so many times the patience
/// of its commits. By then another one may have it, and clients of this one would hear nothing of what
/// that one accepts.
pub(super) const CUT_OFF: u32 = 3;

/// What a relay that serves the store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) term: u64,
    /// Where its trunk is. Empty: it is about to have the store, and has no term yet.
    pub(super) at: String,
}

/// Why a relay has the store no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Taken,
    CutOff(Duration),
}

impl Loss {
    pub(super) fn error(self) -> StoreError {
        match self {
            Self::Taken => StoreError::Taken,
            Self::CutOff(since) => StoreError::CutOff(since.as_secs()),
        }
    }
}

fn subject(journal: &Journal) -> String {
    format!("hushwire.{}.owner", journal.name)
}

/// What the relay that serves the store says, if one does. One that hangs, or that the cluster cannot
/// reach, says nothing.
pub(super) async fn who_serves(journal: Journal) -> Result<Option<Served>, StoreError> {
    let asked = journal.client.request(subject(&journal), "".into()).await;
    match asked {
        Ok(answer) => Ok(Some(parse(&answer.payload))),
        Err(error) => match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Ok(None),
            _ => Err(trouble(error)),
        },
    }
}

impl Served {
    const SOON: Self = Self {
        term: 0,
        at: String::new(),
    };

    fn said(&self) -> String {
        match self.at.as_str() {
            "" => "served".to_owned(),
            at => format!("served {} at {at}", self.term),
        }
    }
}

fn parse(answer: &[u8]) -> Served {
    let said = std::str::from_utf8(answer).unwrap_or_default();
    let place = said
        .strip_prefix("served ")
        .and_then(|rest| rest.split_once(" at "));
    let served = place.and_then(|(term, at)| {
        Some(Served {
            term: term.parse().ok()?,
            at: at.to_owned(),
        })
    });
    served.unwrap_or(Served::SOON)
}

/// Answers while the store is being claimed: who asks waits, rather than claim it too.
pub(super) async fn hold(journal: Journal) {
    let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await else {
        return;
    };
    while let Some(question) = questions.next().await {
        answer(&journal, question, &Served::SOON).await;
    }
}

async fn answer(journal: &Journal, question: async_nats::Message, served: &Served) {
    if let Some(reply) = question.reply {
        let _ = journal.client.publish(reply, served.said().into()).await;
    }
}

/// Answers until another relay's claim is in the journal, or until the cluster has given no answer
/// for [`CUT_OFF`] times `patience`: then `lost` says so. A relay that has nothing to commit would not learn
/// it otherwise.
pub(super) async fn serve(
    journal: Journal,
    served: Served,
    held: AbortOnDrop,
    patience: Duration,
    lost: watch::Sender<Option<Loss>>,
) {
    let mut reached = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await else {
        return;
    };
    drop(held);
    loop {
        tokio::select! {
            question = questions.next() => {
                let Some(question) = question else { return };
                answer(&journal, question, &served).await;
            }
            _ = look.tick() => match newest_term(&journal).await {
                Ok(newest) if newest > served.term => {
                    tracing::error!("another relay has taken the store over");
                    lost.send_replace(Some(Loss::Taken));
                    return;
                }
                Ok(_) => reached = Instant::now(),
                Err(error) if reached.elapsed() >= patience * CUT_OFF => {
                    tracing::error!(%error, "the cluster cannot be reached: this relay gives the store up");
                    lost.send_replace(Some(Loss::CutOff(reached.elapsed())));
                    return;
                }
                Err(error) => tracing::debug!(%error, "no look at who wrote last"),
            }
        }
    }
}

/// The highest term that was claimed, 0 in a new store.
pub(super) async fn newest_term(journal: &Journal) -> Result<u64, StoreError> {
    let (_, last) = journal.ends().await?;
    if last == 0 {
        return Ok(0);
    }
    Ok(journal.head(last).await?.map_or(0, |head| head.term))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let served = Served {
            term: 7,
            at: "[::1]:7008".to_owned(),
        };
        assert_eq!(parse(served.said().as_bytes()), served);
        assert_eq!(parse(Served::SOON.said().as_bytes()), Served::SOON);
        for other in [&b""[..], b"served x at y", b"served 7", b"\xff"] {
            assert_eq!(parse(other), Served::SOON);
        }
    }
}
