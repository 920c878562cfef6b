//! A stream of what happens. Messages are read from the vault by cursor, so none is missed, however
//! slow the reader is and whenever it began.

use std::collections::VecDeque;

use hushwire_core::{
    identity::Address,
    wire::{MessageId, reason::Reason},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Client,
    outages::{Outage, Outages},
};
use crate::{
    driver::Signal,
    error::Error,
    net::LinkError,
    vault::{Message, State},
};

/// Messages read at once.
const PAGE: u64 = 64;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A message came in.
    Message(Message),
    /// An own message's state changed. States that came while the reader was slow may be missing:
    /// [`Client::state`] tells.
    State {
        /// Recipient.
        to: Address,
        /// Which.
        id: MessageId,
        /// What has become of it.
        state: State,
        /// The relay's refusal, where there was one.
        reason: Option<Reason>,
    },
    /// Something that the user should know.
    Alarm(String),
    /// A relay has been away for some seconds, or turns this identity away. Links are tried again
    /// without end.
    Offline(LinkError),
    /// It is back (`host:port`).
    Online(String),
}

/// See [`Client::listen`].
#[derive(Debug)]
pub struct Listener {
    client: Client,
    signals: Receiver<Signal>,
    cursor: u64,
    page: VecDeque<Message>,
    behind: bool,
    outages: Outages,
}

impl Client {
    /// Listens from a cursor on: 0 for everything that ever came, or the number of the last message
    /// that was dealt with.
    #[must_use]
    pub fn listen(&self, cursor: u64) -> Listener {
        let signals = self.0.signals.subscribe();
        Listener {
            client: self.clone(),
            signals,
            cursor,
            page: VecDeque::new(),
            behind: true,
            outages: Outages::of(self.0.states.clone()),
        }
    }

    /// The durable cursor: where [`Client::mark_read`] has put it.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn read_cursor(&self) -> Result<u64, Error> {
        self.call(|driver| driver.vault.settings().read).await
    }

    /// Moves the durable cursor forward to a message that was dealt with.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn mark_read(&self, number: u64) -> Result<(), Error> {
        self.try_call(move |driver| {
            let mut settings = driver.vault.settings().clone();
            if number > settings.read {
                settings.read = number;
                driver.vault.save_settings(settings)?;
            }
            Ok(())
        })
        .await
    }
}

impl Listener {
    /// The next thing; `None` when the client has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Notification> {
        loop {
            while let Some(message) = self.page.pop_front() {
                self.cursor = message.number;
                if message.state == State::Received {
                    return Some(Notification::Message(message));
                }
            }
            if self.behind {
                self.behind = self.read_page().await.ok()?;
                continue;
            }
            let signal = tokio::select! {
                biased;
                signal = self.signals.recv() => signal,
                outage = self.outages.next() => match outage {
                    Outage::Began(error) => return Some(Notification::Offline(error)),
                    Outage::Ended(relay) => return Some(Notification::Online(relay)),
                },
            };
            match signal {
                Ok(Signal::Message) | Err(RecvError::Lagged(_)) => self.behind = true,
                Ok(Signal::State {
                    to,
                    id,
                    state,
                    reason,
                }) => {
                    return Some(Notification::State {
                        to,
                        id,
                        state,
                        reason,
                    });
                }
                Ok(Signal::Alarm(text)) => return Some(Notification::Alarm(text)),
                Ok(Signal::NoBundle(peer)) => {
                    let name = self.client.name(peer).await.ok()?;
                    return Some(Notification::Alarm(Error::NoBundle(name).to_string()));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Whether there may be more.
    async fn read_page(&mut self) -> Result<bool, Error> {
        let cursor = self.cursor;
        let page = self
            .client
            .try_call(move |driver| Ok(driver.vault.after(cursor, PAGE)?))
            .await?;
        self.page.extend(page);
        Ok(!self.page.is_empty())
    }
}
