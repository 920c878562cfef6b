//! Contacts: the names that people give to addresses.

use hushwire_core::identity::Address;
use serde::{Deserialize, Serialize};

use super::{Vault, VaultError, records::Table};

/// A nickname at a relay, and whose it was when the user added it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The nickname.
    pub nickname: String,
    /// The relay's link.
    pub link: u8,
    /// Another owner that the relay has named since. Refused until the user accepts it.
    #[serde(with = "address_option")]
    pub now: Option<Address>,
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// What the user calls it.
    pub name: String,
    /// Where it is.
    #[serde(with = "address")]
    pub address: Address,
    /// The link to its relay.
    pub link: u8,
    /// The user compared safety numbers.
    pub verified: bool,
    /// Nothing of it is opened.
    pub blocked: bool,
    /// The nickname by which it was found.
    pub pinned: Option<Pinned>,
    /// Addresses that it had before: their history is shown with it.
    pub former: Vec<[u8; Address::LEN]>,
    /// When it was added, milliseconds since 1970.
    pub added_at: u64,
}

impl Contact {
    /// All addresses under which there may be history.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let former = self.former.iter().map(|raw| Address(*raw));
        former.chain([self.address]).collect()
    }
}

impl Vault {
    /// All contacts, by name.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values()
    }

    /// The contact of that name.
    pub(crate) fn contact(&self, name: &str) -> Option<&Contact> {
        self.contacts.get(name)
    }

    /// The contact with that address.
    pub(crate) fn contact_at(&self, address: &Address) -> Option<&Contact> {
        let name = self.names.get(address)?;
        self.contacts.get(name)
    }

    /// Stages a contact, new or changed.
    pub(crate) fn save_contact(&mut self, contact: Contact) -> Result<(), VaultError> {
        let key = self.records.blind(Table::Contact, &[&contact.address.0]);
        self.records.stage(key, &contact)?;
        self.list_contact(contact);
        Ok(())
    }

    pub(super) fn list_contact(&mut self, contact: Contact) {
        if let Some(old) = self.names.insert(contact.address, contact.name.clone()) {
            self.contacts.remove(&old);
        }
        self.contacts.insert(contact.name.clone(), contact);
    }

    /// Stages the removal of a contact. Its history and its session stay.
    pub(crate) fn remove_contact(&mut self, name: &str) -> Option<Contact> {
        let contact = self.contacts.remove(name)?;
        self.names.remove(&contact.address);
        let key = self.records.blind(Table::Contact, &[&contact.address.0]);
        self.records.stage_removal(key);
        Some(contact)
    }
}

mod address {
    use hushwire_core::identity::Address;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Address, s: S) -> Result<S::Ok, S::Error> {
        value.0.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Address, D::Error> {
        <[u8; Address::LEN]>::deserialize(d).map(Address)
    }
}

mod address_option {
    use hushwire_core::identity::Address;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Address>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|address| address.0).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Address>, D::Error> {
        Ok(<Option<[u8; Address::LEN]>>::deserialize(d)?.map(Address))
    }
}
