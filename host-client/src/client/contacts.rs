//! Contacts: adding, naming, blocking, verifying.

use std::str::FromStr;

use hushwire_core::{
    fingerprint::SafetyNumber,
    identity::{Address, IdentityPublic},
    peer::{Peer, Standing},
    storage::Storage as _,
    wire::{reason::Reason, request::Request},
};

use super::Client;
use crate::{
    card::Card,
    driver::{Driver, Response},
    error::Error,
    vault::{Contact, HOME, Pinned},
};

/// How a new contact is named by its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A contact card: any relay.
    Card(Card),
    /// An address at the home relay.
    Address(Address),
    /// `@nickname` at the home relay: only as honest as the relay, until it is verified.
    Nickname(String),
}

impl FromStr for Who {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let nickname = text.strip_prefix('@').or_else(|| text.strip_suffix('@'));
        if let Some(nickname) = nickname {
            return Ok(Self::Nickname(nickname.to_owned()));
        }
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => Ok(Self::Card(text.parse()?)),
        }
    }
}

/// What two people compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// The contact.
    pub contact: Contact,
    /// 12 groups of 5 digits.
    pub number: String,
    /// What the QR code carries.
    pub qr: String,
}

impl Client {
    /// Adds a contact.
    ///
    /// # Errors
    /// [`Error::NameInUse`], [`Error::AddressKnown`], [`Error::UnknownNickname`] and the like.
    pub async fn add_contact(&self, name: &str, who: Who) -> Result<Contact, Error> {
        let (mut pinned, mut url) = (None, None);
        let address = match who {
            Who::Address(address) => address,
            Who::Card(card) => {
                url = Some(card.relay);
                card.address
            }
            Who::Nickname(nickname) => {
                let owner = self.look_up(HOME, &nickname).await?;
                pinned = Some(Pinned {
                    nickname,
                    link: HOME,
                    now: None,
                });
                owner
            }
        };
        if address == self.address() {
            return Err(Error::Oneself);
        }
        let name = checked(name)?;
        let contact = self
            .try_call(move |driver| {
                if driver.vault.contact(&name).is_some() {
                    return Err(Error::NameInUse(name));
                }
                if let Some(known) = driver.vault.contact_at(&address) {
                    return Err(Error::AddressKnown(known.name.clone()));
                }
                let link = match url {
                    Some(url) => driver.link_to(&url)?,
                    None => HOME,
                };
                let added_at = driver.vault.now();
                let contact = Contact {
                    name,
                    address,
                    link,
                    verified: false,
                    blocked: false,
                    pinned,
                    former: Vec::new(),
                    added_at,
                };
                set_standing(driver, &contact, Standing::Contact)?;
                save(driver, contact)
            })
            .await?;
        if *self.0.online.borrow() {
            self.connect();
        }
        Ok(contact)
    }

    /// All contacts, by name.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, Error> {
        self.call(|driver| driver.vault.contacts().cloned().collect())
            .await
    }

    /// The contact of that name.
    ///
    /// # Errors
    /// [`Error::UnknownContact`].
    pub async fn contact(&self, name: &str) -> Result<Contact, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| find(driver, &name)).await
    }

    /// Calls a contact something else.
    ///
    /// # Errors
    /// [`Error::UnknownContact`], [`Error::NameInUse`].
    pub async fn rename_contact(&self, name: &str, new: &str) -> Result<Contact, Error> {
        let (name, new) = (name.to_owned(), checked(new)?);
        self.try_call(move |driver| {
            let mut contact = find(driver, &name)?;
            if driver.vault.contact(&new).is_some() {
                return Err(Error::NameInUse(new));
            }
            contact.name = new;
            save(driver, contact)
        })
        .await
    }

    /// Forgets a contact's name. History stays; what it writes comes as a stranger's.
    ///
    /// # Errors
    /// [`Error::UnknownContact`].
    pub async fn remove_contact(&self, name: &str) -> Result<Contact, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| {
            let contact = find(driver, &name)?;
            set_standing(driver, &contact, Standing::Stranger)?;
            driver.vault.remove_contact(&name);
            stale(driver)?;
            driver.vault.flush()?;
            Ok(contact)
        })
        .await
    }

    /// Blocks a contact, or takes that back. Nothing of a blocked one is opened.
    ///
    /// # Errors
    /// [`Error::UnknownContact`].
    pub async fn block_contact(&self, name: &str, blocked: bool) -> Result<Contact, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| {
            let mut contact = find(driver, &name)?;
            let standing = if blocked {
                Standing::Blocked
            } else {
                Standing::Contact
            };
            set_standing(driver, &contact, standing)?;
            contact.blocked = blocked;
            save(driver, contact)
        })
        .await
    }

    /// The safety number of a contact. Asks its relay for its keys if no message has shown them, and
    /// the home relay whether its nickname still leads to it.
    ///
    /// # Errors
    /// [`Error::KeyChanged`], [`Error::NoBundle`], [`Error::Link`].
    pub async fn safety(&self, name: &str) -> Result<Safety, Error> {
        let contact = self.contact(name).await?;
        let contact = self.check_pin(contact).await?;
        let identity = self.identity_of(&contact).await?;
        let number = SafetyNumber::new(self.identity(), &identity);
        let mut qr = String::new();
        // Writing to a string does not fail.
        let _ = number.write_qr(&mut qr);
        Ok(Safety {
            contact,
            number: number.to_string(),
            qr,
        })
    }

    /// Marks a contact as verified, or not.
    ///
    /// # Errors
    /// [`Error::UnknownContact`].
    pub async fn set_verified(&self, name: &str, verified: bool) -> Result<Contact, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| {
            let mut contact = find(driver, &name)?;
            contact.verified = verified;
            save(driver, contact)
        })
        .await
    }

    /// Takes the changed address of a pinned nickname: the contact is that one from now on.
    ///
    /// # Errors
    /// [`Error::NothingToAccept`].
    pub async fn accept_key(&self, name: &str) -> Result<Contact, Error> {
        let name = name.to_owned();
        self.try_call(move |driver| {
            let mut contact = find(driver, &name)?;
            let now = contact.pinned.as_mut().and_then(|pinned| pinned.now.take());
            let Some(address) = now else {
                return Err(Error::NothingToAccept(name));
            };
            if let Some(other) = driver.vault.contact_at(&address) {
                return Err(Error::AddressKnown(other.name.clone()));
            }
            set_standing(driver, &contact, Standing::Stranger)?;
            driver.vault.remove_contact(&name);
            contact.former.push(contact.address.0);
            (contact.address, contact.verified) = (address, false);
            set_standing(driver, &contact, Standing::Contact)?;
            save(driver, contact)
        })
        .await
    }

    /// Asks whose the pinned nickname is now.
    async fn check_pin(&self, mut contact: Contact) -> Result<Contact, Error> {
        let Some(pinned) = contact.pinned.clone() else {
            return Ok(contact);
        };
        let owner = match self.look_up(pinned.link, &pinned.nickname).await {
            Ok(owner) => Some(owner),
            Err(Error::UnknownNickname(_)) => None,
            // A relay that is away changes nothing.
            Err(Error::Link(_) | Error::NoAnswer) => pinned.now,
            Err(error) => return Err(error),
        };
        let now = owner.filter(|owner| *owner != contact.address);
        contact.pinned = Some(Pinned {
            now,
            ..pinned.clone()
        });
        let (name, saved) = (contact.name.clone(), contact.clone());
        self.try_call(move |driver| save(driver, saved)).await?;
        match now {
            Some(_) => Err(Error::KeyChanged {
                nickname: pinned.nickname,
                name,
            }),
            None => Ok(contact),
        }
    }

    async fn identity_of(&self, contact: &Contact) -> Result<IdentityPublic, Error> {
        let (address, link) = (contact.address, contact.link);
        let known = self
            .try_call(move |driver| {
                let conversation = driver.vault.conversation(&address)?;
                Ok(conversation.and_then(|found| found.peer.identity))
            })
            .await?;
        if let Some(identity) = known {
            return Ok(identity);
        }
        match self
            .ask(link, move |number| Request::Fetch { number, address })
            .await
        {
            Ok(Response::Identity(identity)) => Ok(identity),
            Ok(Response::Bad(error)) => Err(Error::BadBundle(error)),
            Ok(_) => Err(Error::NoAnswer),
            Err(Error::Refused {
                reason: Reason::NotFound | Reason::NotAccepted,
                ..
            }) => Err(Error::NoBundle(contact.name.clone())),
            Err(error) => Err(error),
        }
    }
}

fn checked(name: &str) -> Result<String, Error> {
    let fits = (1..=64).contains(&name.chars().count()) && name.trim() == name;
    if !fits || name.starts_with('@') || name.chars().any(char::is_control) {
        return Err(Error::BadName);
    }
    Ok(name.to_owned())
}

fn find(driver: &Driver, name: &str) -> Result<Contact, Error> {
    let contact = driver.vault.contact(name);
    contact
        .cloned()
        .ok_or_else(|| Error::UnknownContact(name.to_owned()))
}

fn save(driver: &mut Driver, contact: Contact) -> Result<Contact, Error> {
    driver.vault.save_contact(contact.clone())?;
    stale(driver)?;
    driver.vault.flush()?;
    Ok(contact)
}

/// The relay's list is to be told anew.
fn stale(driver: &mut Driver) -> Result<(), Error> {
    let mut settings = driver.vault.settings().clone();
    settings.list_is_stale = true;
    Ok(driver.vault.save_settings(settings)?)
}

/// What the endpoint knows of a contact.
fn set_standing(driver: &mut Driver, contact: &Contact, standing: Standing) -> Result<(), Error> {
    let vault = &mut driver.vault;
    match vault.conversation(&contact.address)? {
        Some(conversation) => {
            conversation.peer.standing = standing;
            conversation.peer.link = contact.link;
            vault.save(&contact.address)?;
        }
        None => {
            vault.create(Peer::new(contact.address, standing, contact.link))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_in_three_ways() {
        let address = Address([7; 20]);
        assert_eq!(
            address.to_string().parse::<Who>().unwrap(),
            Who::Address(address)
        );
        assert_eq!("@bob".parse::<Who>().unwrap(), Who::Nickname("bob".into()));
        assert_eq!("bob@".parse::<Who>().unwrap(), Who::Nickname("bob".into()));
        assert!(matches!(
            "hush://x:1/#00".parse::<Who>(),
            Err(Error::Card(_))
        ));
    }

    #[test]
    fn names_are_what_a_terminal_can_show() {
        for good in ["bob", "Zoë K.", &"x".repeat(64)] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", " bob", "bob\n", "a\u{1b}[2Jb", "@bob", &"x".repeat(65)] {
            assert!(matches!(checked(bad), Err(Error::BadName)), "{bad:?}");
        }
    }
}
