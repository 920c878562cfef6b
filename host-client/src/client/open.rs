//! Making and opening: a vault, and the thread that drives it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use hushwire_core::{
    crypto::Software,
    identity::{IdentityKeys as _, SoftwareIdentity},
};
use tokio::sync::{broadcast, mpsc, watch};
use zeroize::Zeroizing;

use super::{Client, Inner};
use crate::{
    card::RelayUrl,
    driver::{Driver, LinkStates, Moves},
    error::Error,
    net::Dialer,
    vault::{HOME, Unlock, Vault, VaultError},
    words::{self, Seed},
};

/// Records and calls that may wait for the driver.
const INPUTS: usize = 64;
/// Signals that a slow listener may be behind; it reads the vault then.
const SIGNALS: usize = 1024;

impl Client {
    /// Opens a vault. Nothing is sent before [`Client::connect`].
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn open(folder: impl Into<PathBuf>, unlock: Unlock) -> Result<Self, Error> {
        let folder = folder.into();
        Self::start(move || Vault::open(&folder, &unlock)).await
    }

    /// Makes an identity and a vault for it. Returns the words from which it can be brought back.
    ///
    /// # Errors
    /// [`Error::Vault`]; a folder with a vault in it is left as it is.
    pub async fn create(
        folder: impl Into<PathBuf>,
        unlock: Unlock,
        relay: RelayUrl,
    ) -> Result<(Self, Zeroizing<String>), Error> {
        let mut seed: Seed = Zeroizing::new([0; SoftwareIdentity::SEED_LEN]);
        getrandom::fill(&mut *seed).map_err(|_| VaultError::Randomness)?;
        let words = words::from_seed(&seed);
        let client = Self::restore(folder, unlock, relay, &words).await?;
        Ok((client, words))
    }

    /// Makes a vault for an identity that was before. Contacts and history do not come back.
    ///
    /// # Errors
    /// [`Error::Words`], [`Error::Vault`].
    pub async fn restore(
        folder: impl Into<PathBuf>,
        unlock: Unlock,
        relay: RelayUrl,
        words: &str,
    ) -> Result<Self, Error> {
        let seed = words::to_seed(words)?;
        let folder = folder.into();
        Self::start(move || {
            let mut vault = Vault::create(&folder, &unlock, &seed)?;
            vault.move_relay(HOME, &relay)?;
            vault.flush()?;
            Ok(vault)
        })
        .await
    }

    async fn start(
        open: impl FnOnce() -> Result<Vault, VaultError> + Send + 'static,
    ) -> Result<Self, Error> {
        let (signals, _) = broadcast::channel(SIGNALS);
        let (states, watched) = watch::channel(LinkStates::new());
        let (moves, moved) = watch::channel(Moves::new());
        let sender = signals.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let vault = open()?;
            let seed = vault.seed()?;
            let dialer = dialer(&vault)?;
            Ok::<_, Error>((Driver::new(vault, sender, states, moves)?, seed, dialer))
        });
        let opened = opened.await;
        let broken = |_| VaultError::damaged("reading it failed badly");
        let (driver, seed, dialer) = opened.map_err(broken)??;
        let identity = SoftwareIdentity::from_seed(&mut Software, &seed)
            .map_err(|_| Error::Internal("the identity does not grow from its seed"))?;
        let (input, inputs) = mpsc::channel(INPUTS);
        let (folder, address) = (
            driver.vault.folder().to_owned(),
            driver.endpoint().address(),
        );
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("hushwire".into())
            .spawn(move || runtime.block_on(driver.run(inputs)))
            .map_err(VaultError::Io)?;
        Ok(Self(Arc::new(Inner {
            folder,
            address,
            identity: *identity.public(),
            seed: Arc::new(seed),
            input,
            signals,
            states: watched,
            moves: moved,
            started: Mutex::new(Vec::new()),
            dialer: Mutex::new(dialer),
            online: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            thread: Mutex::new(Some(thread)),
        })))
    }
}

/// How relays are reached, with the certificates that the vault keeps.
#[cfg(feature = "tls")]
fn dialer(vault: &Vault) -> Result<Dialer, VaultError> {
    let mut dialer = Dialer::new();
    if let Some(pem) = vault.authorities()? {
        let trust = crate::net::Trust::only(&pem);
        dialer.trust =
            Arc::new(trust.map_err(|_| VaultError::damaged("the certificates of --tls-ca"))?);
    }
    Ok(dialer)
}

#[cfg(not(feature = "tls"))]
fn dialer(_: &Vault) -> Result<Dialer, VaultError> {
    Ok(Dialer::new())
}
