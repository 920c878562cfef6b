//! What is asked of relays beside messages: nicknames, mailbox modes, status, leaving.

use std::time::Duration;

use hushwire_core::{
    identity::Address,
    wire::{
        answer::Status,
        invite::Invite,
        reason::Reason,
        request::{Addresses, ContactsChange, MailboxMode, Request, is_name},
    },
};
use tokio::sync::oneshot;

use super::Client;
use crate::{
    card::RelayUrl,
    driver::{Driver, Response},
    error::Error,
    net::LinkError,
    vault::HOME,
};

/// How long a relay may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Addresses in one request.
const LIST: usize = 256;

/// The mailbox at the home relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Messages waiting.
    pub messages: u32,
    /// Their bytes.
    pub bytes: u64,
    /// One-time prekeys left.
    pub prekeys: u16,
    /// Whether others find keys to write to this identity.
    pub published: bool,
    /// Who may write.
    pub mode: MailboxMode,
}

/// One relay of the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState {
    /// Its link's number; 0 is the home relay.
    pub link: u8,
    /// Where it is.
    pub url: RelayUrl,
    /// Whether the link is up, or why not.
    pub state: Result<(), LinkError>,
}

impl Client {
    /// Every relay of the vault.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn relays(&self) -> Result<Vec<RelayState>, Error> {
        let relays = self.call(|driver| driver.vault.relays()).await?;
        let states = self.0.states.borrow().clone();
        let state = |link: u8, url: &RelayUrl| {
            let connecting = LinkError::Connecting {
                relay: url.authority.clone(),
            };
            states.get(&link).cloned().unwrap_or(Err(connecting))
        };
        let all = relays.into_iter();
        Ok(all
            .map(|(link, url)| RelayState {
                link,
                state: state(link, &url),
                url,
            })
            .collect())
    }

    /// Says where a relay is now, and which key it has: the one at `replaces` (`host:port`), or
    /// without that the one at the URL's own place or with its key. Links are made anew.
    ///
    /// # Errors
    /// [`Error::UnknownRelay`].
    pub async fn move_relay(&self, url: RelayUrl, replaces: Option<String>) -> Result<(), Error> {
        self.try_call(move |driver| driver.move_relay(url, replaces.as_deref()))
            .await
    }

    /// The mailbox as the home relay sees it.
    ///
    /// # Errors
    /// [`Error::Link`] where the link is not up.
    pub async fn mailbox(&self) -> Result<Mailbox, Error> {
        match self.ask(HOME, |number| Request::Status { number }).await? {
            Response::Status(Status {
                messages,
                bytes,
                prekeys,
                bundle_counter,
                mode,
            }) => Ok(Mailbox {
                messages,
                bytes,
                prekeys,
                published: bundle_counter > 0,
                mode,
            }),
            _ => Err(Error::NoAnswer),
        }
    }

    /// Waits until others can write to this identity: keys are published at the home relay.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::NoAnswer`].
    pub async fn registered(&self, patience: Duration) -> Result<Mailbox, Error> {
        let until = tokio::time::Instant::now() + patience;
        self.connected(HOME, patience).await?;
        loop {
            let mailbox = self.mailbox().await?;
            if mailbox.published && mailbox.prekeys > 0 {
                // An invitation has done its work.
                self.try_call(|driver| Ok(driver.vault.save_invite(None)?))
                    .await?;
                return Ok(mailbox);
            }
            if tokio::time::Instant::now() >= until {
                return Err(Error::NoAnswer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Keeps an invitation for the home relay, which is shown until this identity is registered.
    ///
    /// # Errors
    /// [`Error::Vault`].
    pub async fn use_invite(&self, invite: Invite) -> Result<(), Error> {
        self.try_call(move |driver| {
            driver.vault.save_invite(Some(invite.0))?;
            driver.vault.flush()?;
            driver.restart(HOME);
            Ok(())
        })
        .await
    }

    /// Claims a nickname at the home relay.
    ///
    /// # Errors
    /// [`Error::BadNickname`], [`Error::Refused`] with [`Reason::NameTaken`].
    pub async fn claim(&self, nickname: &str) -> Result<(), Error> {
        self.claim_for(nickname, self.address()).await?;
        let nickname = nickname.to_owned();
        self.settings(move |settings| settings.nickname = Some(nickname))
            .await
    }

    /// Gives a nickname back.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is somebody else's.
    pub async fn release(&self, nickname: &str) -> Result<(), Error> {
        self.claim_for(nickname, Address::ZERO).await?;
        self.settings(|settings| settings.nickname = None).await
    }

    /// The nickname that was claimed last.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn nickname(&self) -> Result<Option<String>, Error> {
        self.call(|driver| driver.vault.settings().nickname.clone())
            .await
    }

    async fn claim_for(&self, nickname: &str, owner: Address) -> Result<(), Error> {
        if !is_name(nickname) {
            return Err(Error::BadNickname);
        }
        let name = nickname.to_owned();
        self.ask_with(HOME, move |driver, waiting| {
            driver.request_with(HOME, waiting, |number, frame| {
                Request::Claim {
                    number,
                    owner,
                    name: &name,
                }
                .emit(frame)
                .ok()
            });
        })
        .await
        .map(drop)
    }

    /// Whose a nickname is at a relay.
    ///
    /// # Errors
    /// [`Error::UnknownNickname`], [`Error::Link`].
    pub async fn look_up(&self, link: u8, nickname: &str) -> Result<Address, Error> {
        if !is_name(nickname) {
            return Err(Error::BadNickname);
        }
        let name = nickname.to_owned();
        let answer = self
            .ask_with(link, move |driver, waiting| {
                driver.request_with(link, waiting, |number, frame| {
                    Request::LookUp {
                        number,
                        name: &name,
                    }
                    .emit(frame)
                    .ok()
                });
            })
            .await;
        match answer {
            Ok(Response::Name(owner)) => Ok(owner),
            Err(Error::Refused {
                reason: Reason::NotFound,
                ..
            }) => Err(Error::UnknownNickname(nickname.to_owned())),
            Ok(_) => Err(Error::NoAnswer),
            Err(error) => Err(error),
        }
    }

    /// Says who may write. For [`MailboxMode::ContactsOnly`] the relay gets the list of contacts.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Refused`].
    pub async fn set_mode(&self, mode: MailboxMode) -> Result<(), Error> {
        let contacts_only = mode == MailboxMode::ContactsOnly;
        if contacts_only {
            self.send_list().await?;
        }
        self.ask(HOME, move |number| Request::Mode { number, mode })
            .await?;
        self.settings(move |settings| settings.contacts_only = contacts_only)
            .await
    }

    /// Brings the relay's list of contacts up to date, if it is used and out of date.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Refused`].
    pub async fn refresh_list(&self) -> Result<(), Error> {
        let settings = self.call(|driver| driver.vault.settings().clone()).await?;
        if settings.contacts_only && settings.list_is_stale {
            self.send_list().await?;
        }
        Ok(())
    }

    async fn send_list(&self) -> Result<(), Error> {
        // Stale until all of it was told: a list that was cut off is sent again.
        self.settings(|settings| settings.list_is_stale = true)
            .await?;
        let all: Vec<[u8; Address::LEN]> = self
            .call(|driver| {
                let open = driver.vault.contacts().filter(|contact| !contact.blocked);
                open.map(|contact| contact.address.0).collect()
            })
            .await?;
        self.change_list(ContactsChange::Clear, Vec::new()).await?;
        for part in all.chunks(LIST) {
            self.change_list(ContactsChange::Add, part.to_vec()).await?;
        }
        self.settings(|settings| settings.list_is_stale = false)
            .await
    }

    async fn change_list(
        &self,
        change: ContactsChange,
        list: Vec<[u8; Address::LEN]>,
    ) -> Result<(), Error> {
        self.ask_with(HOME, move |driver, waiting| {
            driver.request_with(HOME, waiting, |number, frame| {
                Request::Contacts {
                    number,
                    change,
                    addresses: Addresses::new(&list),
                }
                .emit(frame)
                .ok()
            });
        })
        .await
        .map(drop)
    }

    /// Deletes mailbox, keys and nicknames at every relay. The vault stays.
    ///
    /// # Errors
    /// [`Error::Link`] where a relay is not there: nothing was deleted at that one.
    pub async fn leave(&self, patience: Duration) -> Result<(), Error> {
        for relay in self.relays().await? {
            self.connected(relay.link, patience).await?;
            self.ask(relay.link, |number| Request::Leave { number })
                .await?;
        }
        self.settings(|settings| settings.nickname = None).await
    }

    pub(super) async fn ask(
        &self,
        link: u8,
        build: impl FnOnce(u16) -> Request<'static> + Send + 'static,
    ) -> Result<Response, Error> {
        self.ask_with(link, move |driver, waiting| {
            driver.request(link, build, waiting)
        })
        .await
    }

    async fn ask_with(
        &self,
        link: u8,
        ask: impl FnOnce(&mut Driver, oneshot::Sender<Result<Response, Error>>) + Send + 'static,
    ) -> Result<Response, Error> {
        self.connected(link, ANSWER).await?;
        let (waiting, answer) = oneshot::channel();
        self.call(move |driver| ask(driver, waiting)).await?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Error::NoAnswer),
        }
    }

    pub(super) async fn settings(
        &self,
        change: impl FnOnce(&mut crate::vault::Settings) + Send + 'static,
    ) -> Result<(), Error> {
        self.try_call(move |driver| {
            let mut settings = driver.vault.settings().clone();
            change(&mut settings);
            Ok(driver.vault.save_settings(settings)?)
        })
        .await
    }
}
