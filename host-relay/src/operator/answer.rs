//! What the operator is told, made by the logic's task.

use hushwire_core::identity::Address;
use serde_json::{Value, json};

use super::Ask;
use crate::clock::Now;
use crate::relay::{Full, InviteSummary, MailboxSummary, Relay, SECRET};
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
        Ask::Ban(address, seconds) => {
            let until = end(seconds, now);
            vec![match relay.ban(address, until) {
                Ok(()) => barred(&address, until),
                Err(Full) => full(),
            }]
        }
        Ask::Unban(address) => vec![match relay.unban(&address) {
            true => json!({"address": address.to_string(), "barred": false}),
            false => json!({"error": "this identity is not barred"}),
        }],
        Ask::Bans => {
            let bans = relay.bans().into_iter();
            bans.map(|(address, until)| barred(&address, until))
                .collect()
        }
        Ask::Add(address) => vec![match relay.expect(address) {
            Ok(Ok(news)) => json!({"address": address.to_string(), "added": news}),
            Ok(Err(Full)) => full(),
            Err(error) => json!({"error": error.to_string()}),
        }],
        Ask::Invite(uses, seconds) => vec![invite(relay, uses, end(seconds, now))],
        Ask::Invites => {
            let invites = relay.invites().into_iter();
            invites
                .map(
                    |InviteSummary {
                         number,
                         uses,
                         until,
                     }| {
                        json!({"number": number, "uses": uses, "until": moment(until)})
                    },
                )
                .collect()
        }
        Ask::Revoke(number) => vec![match relay.revoke(number) {
            true => json!({"number": number, "revoked": true}),
            false => {
                json!({"error": "there is no such invitation: see hushwire-relay invite list"})
            }
        }],
    }
}

fn invite(relay: &mut Relay, uses: u32, until: u64) -> Value {
    let mut secret = [0; SECRET];
    if getrandom::fill(&mut secret).is_err() {
        return json!({"error": "the machine gives no randomness"});
    }
    match relay.make_invite(secret, uses.max(1), until) {
        Ok(invite) => {
            let number = relay.invites().last().map_or(0, |newest| newest.number);
            json!({
                "invite": invite.to_string(),
                "number": number,
                "uses": uses.max(1),
                "until": moment(until),
            })
        }
        Err(Full) => full(),
    }
}

fn barred(address: &Address, until: u64) -> Value {
    json!({"address": address.to_string(), "barred": true, "until": moment(until)})
}

fn full() -> Value {
    json!({"error": "there are 100,000 bans, invitations and added identities: remove some first"})
}

/// Unix seconds at the end of a span; 0, for ever, stays.
fn end(seconds: u64, now: Now) -> u64 {
    match seconds {
        0 => 0,
        _ => now.unix_s.saturating_add(seconds),
    }
}

/// Unix seconds, `null` for ever.
fn moment(until: u64) -> Value {
    match until {
        0 => Value::Null,
        _ => until.into(),
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
    let keys = relay.keys.iter();
    let keys = keys.map(|key| json!({"key": key.public, "until_unix_s": key.until_unix_s}));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "keys": keys.collect::<Vec<_>>(),
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
