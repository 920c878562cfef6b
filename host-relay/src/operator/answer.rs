//! What the operator is told, made by the logic's thread.

use serde_json::{Value, json};

use super::Ask;
use crate::clock::Now;
use crate::relay::{MailboxSummary, Relay};
use crate::tally::REASONS;

/// Does what is asked. Where [`Ask::changes`] says so, the answer is true only once it is durable.
pub(crate) fn handle(relay: &mut Relay, ask: Ask, now: Now) -> Vec<Value> {
    match ask {
        Ask::Status => vec![status(relay)],
        Ask::List => relay.list_mailboxes(now).iter().map(line).collect(),
        Ask::Show(address) => vec![match relay.show_mailbox(address, now) {
            Ok(Some(mailbox)) => line(&mailbox),
            Ok(None) => json!({"error": "this identity is not registered here"}),
            Err(error) => json!({"error": error.to_string()}),
        }],
        Ask::Remove(address) => {
            vec![json!({"address": address.to_string(), "removed": relay.empty_mailbox(address)})]
        }
    }
}

/// The answer where the disk failed.
pub(crate) fn not_durable() -> Vec<Value> {
    let error = "the store took no write, so this may not last: look at the disk, and ask again";
    vec![json!({ "error": error })]
}

fn line(mailbox: &MailboxSummary) -> Value {
    json!({
        "address": mailbox.address.to_string(),
        "messages": mailbox.messages,
        "bytes": mailbox.bytes,
        "oldest_seconds": mailbox.oldest_s,
        "connected": mailbox.is_connected,
    })
}

fn status(relay: &Relay) -> Value {
    let tally = relay.tally();
    let refused: serde_json::Map<_, _> = REASONS
        .iter()
        .zip(tally.refused)
        .map(|((_, name), count)| ((*name).to_owned(), count.into()))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "connections": tally.connections,
        "accounts": tally.accounts,
        "mailboxes": tally.mailboxes,
        "stored_messages": tally.stored_messages,
        "stored_bytes": tally.stored_bytes,
        "oldest_seconds": tally.oldest_message_s,
        "backlog_bytes": tally.backlog_bytes,
        "failed_commits": tally.failed_commits,
        "refused": refused,
    })
}
