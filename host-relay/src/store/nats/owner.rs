//! Who serves the store: whoever does answers on `hushwire.NAME.owner`.
//!
//! This is courtesy, not safety: it keeps a second relay from taking over one that works. What keeps
//! two from writing is the journal.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::journal::{Journal, trouble};
use super::node::AbortOnDrop;
use crate::store::StoreError;

/// Between two looks at who wrote last.
const LOOK: Duration = Duration::from_secs(3);

fn subject(journal: &Journal) -> String {
    format!("hushwire.{}.owner", journal.name)
}

/// Where the relay that serves the store is called by others, if one says that it serves: nothing
/// while it is about to. One that hangs, or that the cluster cannot reach, says nothing.
pub(super) async fn who_serves(journal: Journal) -> Result<Option<String>, StoreError> {
    let asked = journal.client.request(subject(&journal), "".into()).await;
    match asked {
        Ok(answer) => Ok(Some(parse(&answer.payload))),
        Err(error) => match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Ok(None),
            _ => Err(trouble(error)),
        },
    }
}

/// Who is about to have the store says `served`, and no place.
fn parse(answer: &[u8]) -> String {
    let at = answer.strip_prefix(b"served at ").unwrap_or_default();
    String::from_utf8_lossy(at).into_owned()
}

/// Answers while the store is being claimed: who asks waits, rather than claim it too.
pub(super) async fn hold(journal: Journal) {
    let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await else {
        return;
    };
    while let Some(question) = questions.next().await {
        answer(&journal, question, "").await;
    }
}

async fn answer(journal: &Journal, question: async_nats::Message, at: &str) {
    if let Some(reply) = question.reply {
        let said = match at {
            "" => "served".to_owned(),
            at => format!("served at {at}"),
        };
        let _ = journal.client.publish(reply, said.into()).await;
    }
}

/// Answers until another relay's claim is in the journal; then `taken` becomes true. A relay that
/// has nothing to commit would not learn it otherwise. `at` is where others call this one.
pub(super) async fn serve(
    journal: Journal,
    at: String,
    held: AbortOnDrop,
    term: u64,
    taken: watch::Sender<bool>,
) {
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
                answer(&journal, question, &at).await;
            }
            _ = look.tick() => {
                if newest_term(&journal).await.is_ok_and(|newest| newest > term) {
                    tracing::error!("another relay has taken the store over");
                    taken.send_replace(true);
                    return;
                }
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
