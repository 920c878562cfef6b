//! Operations on a client.

use std::time::Duration;

use hushwire::{
    Address, CardError, Client, Error, Filter, MailboxMode, Notification, RelayUrl, Sent, State,
    vault::HOME,
};
use tokio::sync::mpsc;

use super::{
    exit::{Code, Failure},
    operation::Operation,
    reply::{AlarmView, MailboxView, MessageView, RelayView, Reply, StateView, StatusView},
    time,
};

/// How long commands wait for a relay.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where replies go. A closed one ends the operation.
pub(super) type Replies = mpsc::Sender<Reply>;

async fn say(replies: &Replies, reply: Reply) -> Result<(), Failure> {
    let gone = |_| Failure::new(Code::Other, "nobody reads the answer");
    replies.send(reply).await.map_err(gone)
}

/// Does what is asked; every answer goes to `replies`.
pub(super) async fn run(
    client: &Client,
    operation: Operation,
    replies: &Replies,
) -> Result<(), Failure> {
    if operation.is_online() {
        client.connect();
    }
    match operation {
        Operation::Address => say(replies, identity(client).await?).await,
        Operation::AddContact { name, who } => {
            let contact = client.add_contact(&name, who.parse()?).await?;
            refresh_list(client).await;
            say(replies, Reply::Contact(contact.into())).await
        }
        Operation::ListContacts => {
            for contact in client.contacts().await? {
                say(replies, Reply::Contact(contact.into())).await?;
            }
            Ok(())
        }
        Operation::RenameContact { name, new } => {
            let contact = client.rename_contact(&name, &new).await?;
            say(replies, Reply::Contact(contact.into())).await
        }
        Operation::RemoveContact { name } => {
            client.remove_contact(&name).await?;
            refresh_list(client).await;
            let text = format!("{name} is no contact any more; the history stays.");
            say(replies, Reply::Done { text }).await
        }
        Operation::BlockContact { name, blocked } => {
            let contact = client.block_contact(&name, blocked).await?;
            refresh_list(client).await;
            say(replies, Reply::Contact(contact.into())).await
        }
        Operation::Verify { name, yes, accept } => {
            if accept {
                client.accept_key(&name).await?;
            }
            let safety = client.safety(&name).await?;
            let mut verified = safety.contact.verified;
            if yes {
                verified = client.set_verified(&name, true).await?.verified;
            }
            let (number, qr) = (safety.number, safety.qr);
            say(
                replies,
                Reply::Safety {
                    name,
                    number,
                    qr,
                    verified,
                },
            )
            .await
        }
        Operation::Send {
            to,
            body,
            until,
            patience_ms,
        } => {
            let sent = client.send(&to, &body).await?;
            follow(
                client,
                sent,
                until,
                Duration::from_millis(patience_ms),
                replies,
            )
            .await
        }
        Operation::Drain { until, patience_ms } => {
            match client
                .drain(until, Duration::from_millis(patience_ms))
                .await?
            {
                0 => Ok(()),
                behind => Err(behind_failure(client, until, behind).await),
            }
        }
        Operation::Listen {
            after,
            states,
            with,
        } => listen(client, after, states, with, replies).await,
        Operation::History {
            with,
            since,
            limit,
            fetch,
        } => {
            let fetched = if fetch {
                client.fetch(PATIENCE).await
            } else {
                Ok(())
            };
            history(client, with, since, limit, replies).await?;
            // History is here whether or not the relay is: that is said, and no failure.
            match fetched {
                Err(error @ Error::Link(_)) => alarm(replies, error.to_string()).await,
                other => Ok(other?),
            }
        }
        Operation::Status { connect } => status(client, connect, replies).await,
        Operation::Claim { name } => {
            client.claim(&name).await?;
            let text = format!("You are @{name} at your relay.");
            say(replies, Reply::Done { text }).await
        }
        Operation::Release { name } => {
            client.release(&name).await?;
            say(
                replies,
                Reply::Done {
                    text: format!("@{name} is free again."),
                },
            )
            .await
        }
        Operation::Mailbox { mode } => {
            let wrong = |_| Failure::new(Code::Usage, "there is no such mode");
            let mode = MailboxMode::from_byte(mode).map_err(wrong)?;
            client.set_mode(mode).await?;
            let text = format!("Your mailbox is {}.", mode_name(mode));
            say(replies, Reply::Done { text }).await
        }
        Operation::Leave => {
            client.leave(PATIENCE).await?;
            let text = "Mailbox, keys and nicknames are deleted at every relay. The vault stays; \
                        the next command that goes online registers again.";
            say(replies, Reply::Done { text: text.into() }).await
        }
        Operation::Passwd { old, new } => {
            client.change_unlock(old.into(), new.into()).await?;
            say(
                replies,
                Reply::Done {
                    text: "The vault opens with the new secret only.".into(),
                },
            )
            .await
        }
        Operation::MoveRelay { url, replaces } => {
            let url: RelayUrl = url.parse().map_err(Error::from)?;
            let text = format!(
                "The relay is at {} now, with the key of this URL.",
                url.authority
            );
            client.move_relay(url, replaces).await?;
            say(replies, Reply::Done { text }).await
        }
        Operation::Register { invite } => {
            if let Some(invite) = invite {
                let invite = invite.parse().map_err(|_| Error::from(CardError::Invite))?;
                client.use_invite(invite).await?;
            }
            client.registered(PATIENCE).await?;
            Ok(())
        }
    }
}

pub(super) async fn identity(client: &Client) -> Result<Reply, Failure> {
    Ok(Reply::Identity {
        address: client.address().to_string(),
        card: client.card().await?.to_string(),
        nickname: client.nickname().await?,
        words: None,
    })
}

/// The relay's list is told when it can be; it stays marked as out of date otherwise.
async fn refresh_list(client: &Client) {
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, client.refresh_list()).await {
        tracing::warn!("the relay's list of contacts is out of date: {error}");
    }
}

async fn alarm(replies: &Replies, text: String) -> Result<(), Failure> {
    say(replies, Reply::Alarm { at: None, text }).await
}

async fn follow(
    client: &Client,
    sent: Sent,
    until: State,
    patience: Duration,
    replies: &Replies,
) -> Result<(), Failure> {
    let name = client.name(sent.to).await?;
    let waited = client.wait(sent, until, patience).await;
    let now = match &waited {
        Ok(sent) => *sent,
        Err(_) => client.state(sent.to, sent.id).await?.unwrap_or(sent),
    };
    say(replies, Reply::State(StateView::new(&now, name.clone()))).await?;
    waited.map_err(|error| {
        let failure = Failure::from(error);
        Failure::new(
            failure.code,
            format!("{}. The message is queued.", failure.message),
        )
    })?;
    let reason = now
        .reason
        .map_or_else(|| "no answer".into(), |reason| reason.to_string());
    match now.state {
        State::Failed => Err(Failure::new(
            Code::Refused,
            format!("the message was not delivered: {reason}"),
        )),
        state if state >= until => Ok(()),
        State::Queued if now.reason.is_some() => Err(Failure::new(
            Code::Refused,
            format!("{reason}. The message is queued and goes out when the relay takes it."),
        )),
        State::Queued => {
            let link = client
                .contact(&name)
                .await
                .map_or(HOME, |contact| contact.link);
            let error = match client.connected(link, Duration::ZERO).await {
                Ok(()) => Error::NoAnswer,
                Err(error) => error,
            };
            let failure = Failure::from(error);
            let kept = "The message is queued and goes out with the next command that goes online.";
            Err(Failure::new(
                failure.code,
                format!("{}. {kept}", failure.message),
            ))
        }
        _ => Err(Failure::new(
            Code::NoReceipt,
            format!(
                "the relay has the message, and no receipt came from {name} within {} s. It is on \
                 its way: see hushwire inbox --with {name}",
                patience.as_secs()
            ),
        )),
    }
}

async fn behind_failure(client: &Client, until: State, behind: usize) -> Failure {
    if until == State::Delivered {
        let sentence = format!("{behind} message(s) have no receipt yet; they are on their way");
        return Failure::new(Code::NoReceipt, sentence);
    }
    let cause = match client.connected(HOME, Duration::ZERO).await {
        Ok(()) => Failure::new(Code::Refused, "the relay does not take them now"),
        Err(error) => error.into(),
    };
    Failure::new(
        cause.code,
        format!("{behind} message(s) are queued: {}", cause.message),
    )
}

async fn listen(
    client: &Client,
    after: Option<u64>,
    states: bool,
    with: Option<String>,
    replies: &Replies,
) -> Result<(), Failure> {
    let cursor = match after {
        Some(after) => after,
        None => client.read_cursor().await?,
    };
    let only = match with {
        Some(name) => Some(client.addresses(&name).await?),
        None => None,
    };
    let wanted = |peer: &Address| only.as_ref().is_none_or(|only| only.contains(peer));
    let mut listener = client.listen(cursor);
    while let Some(notification) = listener.next().await {
        match notification {
            Notification::Message(message) if wanted(&message.peer) => {
                let number = message.number;
                let name = client.name(message.peer).await?;
                say(replies, Reply::Message(MessageView::new(message, name))).await?;
                // A cursor cannot pass by what others wrote: only a listener to all moves it.
                if after.is_none() && only.is_none() {
                    client.mark_read(number).await?;
                }
            }
            Notification::State {
                to,
                id,
                state,
                reason,
            } if states && wanted(&to) => {
                let name = client.name(to).await?;
                let sent = Sent {
                    to,
                    id,
                    state,
                    reason,
                };
                say(replies, Reply::State(StateView::new(&sent, name))).await?;
            }
            Notification::Alarm(text) => alarm(replies, text).await?,
            Notification::Offline(error) => alarm(replies, error.to_string()).await?,
            Notification::Online(relay) => {
                alarm(replies, format!("The relay {relay} is there again.")).await?;
            }
            _ => {}
        }
    }
    Err(Error::Stopped.into())
}

async fn history(
    client: &Client,
    with: Option<String>,
    since: u64,
    limit: usize,
    replies: &Replies,
) -> Result<(), Failure> {
    let with = match with {
        Some(name) => client.addresses(&name).await?,
        None => Vec::new(),
    };
    for message in client
        .history(Filter {
            with,
            since,
            after: 0,
            limit,
        })
        .await?
    {
        let name = client.name(message.peer).await?;
        say(replies, Reply::Message(MessageView::new(message, name))).await?;
    }
    Ok(())
}

async fn status(client: &Client, connect: bool, replies: &Replies) -> Result<(), Failure> {
    let up = connect && client.connected(HOME, PATIENCE).await.is_ok();
    let mailbox = if up {
        client.mailbox().await.ok()
    } else {
        None
    };
    let relays = client.relays().await?.into_iter().map(|relay| RelayView {
        link: relay.link,
        url: relay.url.to_string(),
        up: relay.state.is_ok(),
        problem: relay.state.err().map(|error| error.to_string()),
    });
    let unread = client.unread().await?;
    let alarms = client.alarms(10).await?.into_iter();
    let view = StatusView {
        address: client.address().to_string(),
        card: client.card().await?.to_string(),
        nickname: client.nickname().await?,
        vault: client.folder().display().to_string(),
        relays: relays.collect(),
        mailbox: mailbox.map(|mailbox| MailboxView {
            messages: mailbox.messages,
            bytes: mailbox.bytes,
            prekeys: mailbox.prekeys,
            mode: mode_name(mailbox.mode).to_owned(),
        }),
        contacts: client.contacts().await?.len(),
        waiting: client.waiting().await?,
        unread,
        alarms: alarms
            .map(|alarm| AlarmView {
                at: time::iso(alarm.at),
                text: alarm.text,
            })
            .collect(),
    };
    say(replies, Reply::Status(Box::new(view))).await?;
    match connect && !up {
        true => Err(client
            .connected(HOME, Duration::ZERO)
            .await
            .err()
            .map_or_else(
                || Failure::new(Code::Unreachable, "the relay did not answer in time"),
                Failure::from,
            )),
        false => Ok(()),
    }
}

pub(super) const fn mode_name(mode: MailboxMode) -> &'static str {
    match mode {
        MailboxMode::Open => "open",
        MailboxMode::ContactsOnly => "for contacts only",
        MailboxMode::Closed => "closed",
    }
}
