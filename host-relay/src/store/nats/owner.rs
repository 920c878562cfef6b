//! Who serves the store: whoever does answers on `hushwire.NAME.owner`.
//!
//! This is courtesy, not safety: it keeps a second relay from taking over one that works. What keeps
//! two from writing is the journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::journal::{Journal, Look, PAUSE, trouble};
use super::node::AbortOnDrop;
use crate::silence::Silence;
use crate::store::StoreError;

/// Between two looks at who wrote last.
const LOOK: Duration = Duration::from_secs(3);
/// What a relay that serves the store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) term: u64,
    /// Where its trunk is. Empty: it is about to have the store, and has no term yet.
    pub(super) at: String,
}

/// Why a relay has the store no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Another relay has claimed it.
    Taken,
    /// No answer of the cluster for so long, and why at last.
    CutOff(Duration, String),
}

impl Loss {
    pub(super) fn error(&self) -> StoreError {
        match self {
            Self::Taken => StoreError::Taken,
            Self::CutOff(since, why) => StoreError::CutOff(since.as_secs(), why.clone()),
        }
    }

    /// The first one stays.
    pub(super) fn tell(self, lost: &watch::Sender<Option<Self>>) {
        lost.send_if_modified(|slot| {
            let is_first = slot.is_none();
            slot.get_or_insert(self);
            is_first
        });
    }
}

/// What the writer and whoever answers for it know of each other.
#[derive(Debug)]
pub(super) struct Contact {
    /// The cluster's silence, which a commit's answer ends as a look's does.
    silence: Mutex<Silence>,
    /// The term by which the store is this relay's; 0 while it is claimed anew.
    term: AtomicU64,
    /// Servers that a look found behind or gone.
    behind: AtomicU64,
}

impl Contact {
    pub(super) fn of(term: u64) -> Self {
        Self {
            silence: Mutex::default(),
            term: term.into(),
            behind: AtomicU64::new(0),
        }
    }

    pub(super) fn servers_behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.silence().ends();
    }

    /// The store is claimed anew, with a term that is not known yet.
    pub(super) fn claims_anew(&self) {
        self.term.store(0, Ordering::Release);
    }

    pub(super) fn claimed(&self, term: u64) {
        self.term.store(term, Ordering::Release);
    }

    fn term(&self) -> Option<u64> {
        Some(self.term.load(Ordering::Acquire)).filter(|term| *term > 0)
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
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
/// for `give_up`: then `lost` says so. A relay that has nothing to commit would not learn it otherwise.
pub(super) async fn serve(
    journal: Journal,
    at: String,
    held: AbortOnDrop,
    (contact, give_up): (Arc<Contact>, Duration),
    lost: watch::Sender<Option<Loss>>,
) {
    let answering = async {
        // Who asks before this is subscribed is answered by `hold`.
        let mut held = Some(held);
        loop {
            if let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await {
                drop(held.take());
                while let Some(question) = questions.next().await {
                    let served = match contact.term() {
                        Some(term) => Served {
                            term,
                            at: at.clone(),
                        },
                        None => Served::SOON,
                    };
                    answer(&journal, question, &served).await;
                }
            }
            // Whoever hears nothing takes the store.
            tokio::time::sleep(PAUSE).await;
        }
    };
    // Beside the answers: a look may take seconds, and who asks meanwhile must not take the store.
    let loss = tokio::select! {
        never = answering => never,
        loss = look(&journal, &contact, give_up) => loss,
    };
    match &loss {
        Loss::CutOff(_, error) => {
            tracing::error!(%error, "the cluster gives no answer: this relay gives the store up");
        }
        Loss::Taken => tracing::error!("another relay has taken the store over"),
    }
    loss.tell(&lost);
}

/// Looks who wrote last, until this relay has the store no more.
async fn look(journal: &Journal, contact: &Contact, give_up: Duration) -> Loss {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // Before the question and behind it: what this relay claims anew in between is not another's.
        let term = contact.term();
        match look_at(journal).await {
            Ok((newest, _)) if term.is_some_and(|term| newest > term) && contact.term() == term => {
                return Loss::Taken;
            }
            Ok((_, behind)) => {
                contact.behind.store(behind, Ordering::Relaxed);
                contact.answered();
            }
            Err(error) => {
                let silent = contact.silence().goes_on();
                if silent >= give_up {
                    return Loss::CutOff(silent, error.to_string());
                }
                tracing::debug!(%error, "no look at who wrote last");
            }
        }
    }
}

/// The highest term that was claimed, 0 in a new store.
pub(super) async fn newest_term(journal: &Journal) -> Result<u64, StoreError> {
    Ok(look_at(journal).await?.0)
}

/// The same, and how many servers are behind.
async fn look_at(journal: &Journal) -> Result<(u64, u64), StoreError> {
    let Look { ends, behind } = journal.look().await?;
    let newest = match ends.is_empty() {
        true => None,
        false => journal.head(ends.last).await?,
    };
    Ok((newest.map_or(0, |head| head.term), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_stays() {
        let lost = watch::channel(None).0;
        let cut_off = Loss::CutOff(Duration::from_secs(60), "why".into());
        cut_off.clone().tell(&lost);
        Loss::Taken.tell(&lost);
        assert_eq!(*lost.borrow(), Some(cut_off));
    }

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
