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
use crate::store::StoreError;

/// Between two looks at who wrote last.
const LOOK: Duration = Duration::from_secs(3);

fn subject(journal: &Journal) -> String {
    format!("hushwire.{}.owner", journal.name)
}

/// Whether some relay says that it serves the store. One that hangs, or that the cluster cannot
/// reach, says nothing.
pub(super) async fn is_served(journal: Journal) -> Result<bool, StoreError> {
    let asked = journal.client.request(subject(&journal), "".into()).await;
    match asked {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Ok(false),
            _ => Err(trouble(error)),
        },
    }
}

/// Answers until another relay's claim is in the journal; then `taken` becomes true. A relay that
/// has nothing to commit would not learn it otherwise.
pub(super) async fn serve(journal: Journal, term: u64, taken: watch::Sender<bool>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await else {
        return;
    };
    loop {
        tokio::select! {
            question = questions.next() => {
                let Some(question) = question else { return };
                if let Some(reply) = question.reply {
                    let _ = journal.client.publish(reply, "served".into()).await;
                }
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

async fn newest_term(journal: &Journal) -> Result<u64, StoreError> {
    let (_, last) = journal.ends().await?;
    Ok(journal.head(last).await?.map_or(0, |head| head.term))
}
