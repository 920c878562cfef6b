//! The async API for host programs.

mod contacts;
mod listener;
mod messages;
mod open;
mod outages;
mod relays;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use hushwire_core::identity::{Address, IdentityPublic};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use contacts::{Safety, Who};
pub use listener::{Listener, Notification};
pub use messages::Sent;
pub use relays::{Mailbox, RelayState};

use crate::{
    card::{Card, RelayUrl},
    driver::{Driver, Input, LinkStates, Moves, Signal},
    error::Error,
    net::{Dialer, Link, LinkError},
    vault::{HOME, Unlock, VaultError},
    words::Seed,
};

/// A running client. Clones share it; it stops with [`Client::close`], or when the last one goes.
///
/// ```no_run
/// # async fn example() -> Result<(), hushwire::Error> {
/// use hushwire::{Client, Unlock};
/// let client = Client::open("vault", Unlock::passphrase("correct horse")).await?;
/// client.connect();
/// client.send("bob", b"hello").await?;
/// client.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    address: Address,
    identity: IdentityPublic,
    seed: Arc<Seed>,
    input: mpsc::Sender<Input>,
    signals: broadcast::Sender<Signal>,
    states: watch::Receiver<LinkStates>,
    moves: watch::Receiver<Moves>,
    /// Links that have a task.
    started: Mutex<Vec<u8>>,
    dialer: Mutex<Dialer>,
    online: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Client {
    /// Who this is.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// Both public keys.
    #[must_use]
    pub fn identity(&self) -> &IdentityPublic {
        &self.0.identity
    }

    /// The vault's folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.0.folder
    }

    /// The card that others add.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn card(&self) -> Result<Card, Error> {
        let relay = self.call(|driver| driver.vault.relay(HOME)).await?;
        let relay = relay.ok_or_else(|| VaultError::damaged("the home relay is missing"))?;
        Ok(Card {
            relay,
            address: self.address(),
        })
    }

    /// Starts links to all relays that the vault knows, in the background; they are kept up until
    /// the client stops. Must be called within a Tokio runtime.
    pub fn connect(&self) {
        self.0.online.send_replace(true);
        let client = self.clone();
        tokio::spawn(async move {
            if let Ok(relays) = client.call(|driver| driver.vault.relays()).await {
                relays
                    .into_iter()
                    .for_each(|(link, url)| client.start_link(link, url));
            }
        });
    }

    /// Relays' certificates hold where one of these (PEM) signed them, in place of the web's
    /// authorities; `None` for the web's again. The vault keeps it. For links that start from now on:
    /// before [`Client::connect`].
    ///
    /// # Errors
    /// [`Error::NoCertificates`], [`Error::Vault`].
    #[cfg(feature = "tls")]
    pub async fn trust(&self, pem: Option<Vec<u8>>) -> Result<(), Error> {
        use crate::net::Trust;
        let trust = match &pem {
            Some(pem) => Trust::only(pem)?,
            None => Trust::web(),
        };
        self.try_call(move |driver| {
            driver.vault.save_authorities(pem.as_deref())?;
            Ok(driver.vault.flush()?)
        })
        .await?;
        let dialer = self.0.dialer.lock();
        dialer
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .trust = Arc::new(trust);
        Ok(())
    }

    fn start_link(&self, number: u8, url: RelayUrl) {
        let inner = &self.0;
        let mut started = inner
            .started
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *inner.online.borrow() && !started.contains(&number) && !*inner.stop.borrow() {
            started.push(number);
            let link = Link {
                number,
                url,
                dialer: inner
                    .dialer
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .clone(),
                seed: Arc::clone(&inner.seed),
                driver: inner.input.clone(),
                moves: inner.moves.clone(),
                stop: inner.stop.subscribe(),
            };
            let inner = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                link.run().await;
                // Its number may become another relay's.
                if let Some(inner) = inner.upgrade() {
                    let started = inner.started.lock();
                    let mut started = started.unwrap_or_else(std::sync::PoisonError::into_inner);
                    started.retain(|other| *other != number);
                }
            });
        }
    }

    /// Waits until a link is up. At the end of `patience`, or where the relay turns this identity away,
    /// the last failure is told.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Stopped`].
    pub async fn connected(&self, link: u8, patience: Duration) -> Result<(), Error> {
        let mut states = self.0.states.clone();
        let settled = states.wait_for(|states| match states.get(&link) {
            Some(Err(error)) => error.is_final(),
            state => state.is_some(),
        });
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(states)) if matches!(states.get(&link), Some(Ok(()))) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Error::Stopped),
            Err(_) => {}
        }
        Err(Error::Link(self.link_error(link).await))
    }

    pub(crate) async fn link_error(&self, link: u8) -> LinkError {
        if let Some(Err(error)) = self.0.states.borrow().get(&link) {
            return error.clone();
        }
        let url = self
            .call(move |driver| driver.vault.relay(link))
            .await
            .ok()
            .flatten();
        LinkError::Connecting {
            relay: url.map_or_else(|| "?".into(), |url| url.authority),
        }
    }

    /// Seals the storage key under another passphrase or key file.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`] where the old one is wrong.
    pub async fn change_unlock(&self, old: Unlock, new: Unlock) -> Result<(), Error> {
        self.try_call(move |driver| Ok(driver.vault.change_unlock(&old, &new)?))
            .await
    }

    /// Stops links and the driver, puts the vault to rest and gives it free. Clones stop, too.
    ///
    /// # Errors
    /// [`Error::Internal`] where the driver had panicked.
    pub async fn close(&self) -> Result<(), Error> {
        self.0.stop.send_replace(true);
        // Already stopped: then there is only its thread to wait for.
        let _ = self.0.input.send(Input::Stop).await;
        let thread = self
            .0
            .thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::Internal("the client's thread ended by a panic")),
        }
    }

    /// Runs something on the driver's thread, between two steps of the endpoint.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Driver) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let call = Box::new(move |driver: &mut Driver| {
            // Who asked has gone: nobody waits for the answer.
            let _ = answer.send(call(driver));
        });
        self.0
            .input
            .send(Input::Call(call))
            .await
            .map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)
    }

    pub(crate) async fn try_call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Driver) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.call(call).await?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The links' tasks end, and with their last word the driver does.
        self.stop.send_replace(true);
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.0.address)
    }
}
