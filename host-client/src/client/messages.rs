//! Sending, and the history.

use std::time::Duration;

use hushwire_core::{
    identity::Address,
    wire::{MessageId, reason::Reason},
};
use tokio::{sync::broadcast::error::RecvError, time::timeout};

use super::Client;
use crate::{
    driver::{Driver, Signal},
    error::Error,
    events,
    vault::{Alarm, Filter, Message, State},
};

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Recipient.
    pub to: Address,
    /// The message's name.
    pub id: MessageId,
    /// What has become of it.
    pub state: State,
    /// The relay's last refusal.
    pub reason: Option<Reason>,
}

impl Client {
    /// Puts a message for a contact into the vault's outbox, durably. It goes out when the link to
    /// the contact's relay is up, in this process or a later one.
    ///
    /// `to` is a contact's name, or the address of somebody who has written.
    ///
    /// # Errors
    /// [`Error::UnknownContact`], [`Error::Blocked`], [`Error::TooLarge`], [`Error::OutboxFull`].
    pub async fn send(&self, to: &str, body: &[u8]) -> Result<Sent, Error> {
        let (to, body) = (to.to_owned(), body.to_vec());
        self.try_call(move |driver| {
            let to = resolve(driver, &to)?;
            let id = driver.send(&to, &body)?;
            Ok(Sent {
                to,
                id,
                state: State::Queued,
                reason: None,
            })
        })
        .await
    }

    /// What has become of a message.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn state(&self, to: Address, id: MessageId) -> Result<Option<Sent>, Error> {
        let message = self
            .try_call(move |driver| Ok(driver.vault.sent(&to, id)?))
            .await?;
        Ok(message.map(|message| Sent {
            to,
            id,
            state: message.state,
            reason: message.reason,
        }))
    }

    /// Waits until a message has come as far as `state`, or failed, or was put off by its relay, or
    /// `patience` has passed; says how far it is. Nothing is lost by not waiting.
    ///
    /// # Errors
    /// [`Error::Vault`], [`Error::NoBundle`].
    pub async fn wait(&self, sent: Sent, state: State, patience: Duration) -> Result<Sent, Error> {
        let until = tokio::time::Instant::now() + patience;
        let mut signals = self.0.signals.subscribe();
        let mut current = self.state(sent.to, sent.id).await?.unwrap_or(sent);
        loop {
            if current.state >= state
                || (current.state == State::Queued && current.reason.is_some())
            {
                return Ok(current);
            }
            match tokio::time::timeout_at(until, signals.recv()).await {
                Err(_) => return Ok(current),
                Ok(Ok(Signal::State { to, id, .. })) if (to, id) != (sent.to, sent.id) => {}
                Ok(Ok(Signal::State { .. }) | Err(RecvError::Lagged(_))) => {
                    current = self.state(sent.to, sent.id).await?.unwrap_or(current);
                }
                Ok(Ok(Signal::NoBundle(peer))) if peer == sent.to => {
                    let name = self
                        .call(move |driver| events::name(&driver.vault, &peer))
                        .await?;
                    return Err(Error::NoBundle(name));
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Closed)) => return Err(Error::Stopped),
            }
        }
    }

    /// Waits until every message of the user's has come as far as `state`, or `patience` has passed.
    /// Returns how many have not.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn drain(&self, state: State, patience: Duration) -> Result<usize, Error> {
        const ASK_AGAIN: Duration = Duration::from_millis(100);
        let until = tokio::time::Instant::now() + patience;
        loop {
            let behind = self.call(move |driver| driver.vault.behind(state)).await?;
            if behind == 0 || tokio::time::Instant::now() >= until {
                return Ok(behind);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Received messages that the durable cursor has not passed; counts no further than 1000.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn unread(&self) -> Result<usize, Error> {
        self.try_call(|driver| {
            let read = driver.vault.settings().read;
            let messages = driver.vault.after(read, 1000)?;
            Ok(messages
                .iter()
                .filter(|message| message.state == State::Received)
                .count())
        })
        .await
    }

    /// Messages of the user's that wait for their receipts.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn waiting(&self) -> Result<usize, Error> {
        self.call(|driver| driver.vault.waiting()).await
    }

    /// The newest messages that pass the filter, oldest first.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn history(&self, filter: Filter) -> Result<Vec<Message>, Error> {
        self.try_call(move |driver| Ok(driver.vault.history(&filter)?))
            .await
    }

    /// The addresses behind a name, former ones included, for a [`Filter`].
    ///
    /// # Errors
    /// [`Error::UnknownContact`].
    pub async fn addresses(&self, name: &str) -> Result<Vec<Address>, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| match driver.vault.contact(&name) {
            Some(contact) => Ok(contact.addresses()),
            None => name
                .parse()
                .map(|one| vec![one])
                .map_err(|_| Error::UnknownContact(name)),
        })
        .await
    }

    /// What the user calls an address, or the address.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn name(&self, address: Address) -> Result<String, Error> {
        self.call(move |driver| events::name(&driver.vault, &address))
            .await
    }

    /// The newest alarms: restarts, expiry, a relay that went back.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn alarms(&self, limit: usize) -> Result<Vec<Alarm>, Error> {
        self.try_call(move |driver| Ok(driver.vault.alarms(limit)?))
            .await
    }

    /// Waits until the home relay has nothing more for this mailbox, at most `patience`.
    ///
    /// # Errors
    /// [`Error::Link`] where the relay cannot be reached.
    pub async fn fetch(&self, patience: Duration) -> Result<(), Error> {
        let until = tokio::time::Instant::now() + patience;
        self.connected(crate::vault::HOME, patience).await?;
        while self.mailbox().await?.messages > 0 {
            if tokio::time::Instant::now() >= until {
                return Ok(());
            }
            let mut signals = self.0.signals.subscribe();
            // Something came, or it is time to ask again.
            let _ = timeout(Duration::from_millis(200), signals.recv()).await;
        }
        Ok(())
    }
}

/// A contact's name, or an address.
fn resolve(driver: &Driver, to: &str) -> Result<Address, Error> {
    if let Some(contact) = driver.vault.contact(to) {
        return Ok(contact.address);
    }
    to.parse().map_err(|_| Error::UnknownContact(to.to_owned()))
}
