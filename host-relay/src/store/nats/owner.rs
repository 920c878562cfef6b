//! Who serves the store: whoever does answers on `hushwire.NAME.owner`.
//!
//! This is courtesy, not safety: it keeps a second relay from taking over one that works. What keeps
//! two from writing is the journal.

use async_nats::client::RequestErrorKind;
use futures_util::StreamExt as _;

use super::journal::{Journal, trouble};
use crate::store::StoreError;

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

/// Answers until it is dropped.
pub(super) async fn answer(journal: Journal) {
    let Ok(mut questions) = journal.client.subscribe(subject(&journal)).await else {
        return;
    };
    while let Some(question) = questions.next().await {
        if let Some(reply) = question.reply {
            let _ = journal.client.publish(reply, "served".into()).await;
        }
    }
}
