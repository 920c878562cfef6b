//! The vault: everything that a client keeps, in one folder, sealed.
//!
//! ```text
//! passphrase ──argon2id──┐
//! key file ──────────────┴─> opens the header ──> storage key ──> every record (snapshot::StorageKey)
//!                                                     └─ HMAC ──> names of records, so none shows
//! ```
//! One database file; what a step of the endpoint stages is committed in one transaction, with one
//! wait for the disk. Memory holds the contacts, the outbox's index and the conversations in use;
//! everything else is read when it is asked for, so a message costs the same in a vault of ten and
//! of a million.

mod contact;
mod conversation;
mod error;
mod event;
mod header;
mod message;
mod open;
mod outbox;
mod records;
mod relay;
mod rotation;
mod storage;
#[cfg(test)]
mod tests;
mod unlock;
mod upgrade;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use hushwire_core::identity::Address;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use contact::{Contact, Pinned};
pub use error::VaultError;
pub use event::Alarm;
pub(crate) use event::Happening;
pub use message::{Filter, Message, State};
pub use relay::HOME;
pub(crate) use rotation::Moved;
pub use unlock::{Unlock, make_key_file};

use crate::words::Seed;
use records::{Records, Table};

/// The operating system's randomness; a failure ends the process rather than weaken a key.
pub(crate) type OsRng = rand_core::UnwrapErr<getrandom::SysRng>;

const SEED: &[u8] = b"seed";
const PREKEYS: &[u8] = b"prekeys";
const SETTINGS: &[u8] = b"settings";
const CLOCK: &[u8] = b"clock";
const INVITE: &[u8] = b"invite";
#[cfg(feature = "tls")]
const AUTHORITIES: &[u8] = b"tls authorities";

/// What the user set, and where a reader stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The number of the newest message that was shown.
    pub(crate) read: u64,
    /// The home relay's list of contacts is kept: only they may write.
    pub(crate) contacts_only: bool,
    /// The list at the relay is not what it should be.
    pub(crate) list_is_stale: bool,
    /// The nickname at the home relay.
    pub(crate) nickname: Option<String>,
}

/// An open vault. Dropping it without `rest` is a loss of power: nothing committed is lost.
#[derive(Debug)]
pub struct Vault {
    folder: PathBuf,
    records: Records,
    conversations: conversation::Conversations,
    outbox: outbox::Outbox,
    contacts: BTreeMap<String, Contact>,
    names: HashMap<Address, String>,
    relays: BTreeMap<u8, relay::Relay>,
    settings: Settings,
    next_message: u64,
    next_alarm: u64,
    /// Highest time given out, milliseconds since 1970.
    clock: u64,
    staged_happenings: Vec<Happening>,
    happenings: Vec<Happening>,
    _lock: File,
}

impl Vault {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A clock that never goes back, not even over restarts: milliseconds since 1970.
    pub(crate) fn now(&mut self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.clock = self
            .clock
            .max(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self.clock
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the home relay asks of a new identity.
    pub(crate) fn invite(&self) -> Result<Option<[u8; 20]>, VaultError> {
        let key = self.records.blind(Table::Own, &[INVITE]);
        Ok(self.records.read(&key)?.flatten())
    }

    pub(crate) fn save_invite(&mut self, invite: Option<[u8; 20]>) -> Result<(), VaultError> {
        if self.invite()? != invite {
            let key = self.records.blind(Table::Own, &[INVITE]);
            self.records.stage(key, &invite)?;
        }
        Ok(())
    }

    /// Certificates (PEM) that the user trusts for TLS to relays, in place of the web's authorities.
    #[cfg(feature = "tls")]
    pub(crate) fn authorities(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let key = self.records.blind(Table::Own, &[AUTHORITIES]);
        self.records.read_bytes(&key)
    }

    #[cfg(feature = "tls")]
    pub(crate) fn save_authorities(&mut self, pem: Option<&[u8]>) -> Result<(), VaultError> {
        if self.authorities()?.as_ref().map(|kept| kept.as_slice()) == pem {
            return Ok(());
        }
        let key = self.records.blind(Table::Own, &[AUTHORITIES]);
        match pem {
            Some(pem) => self.records.stage_bytes(key, Zeroizing::new(pem.to_vec())),
            None => self.records.stage_removal(key),
        }
        Ok(())
    }

    pub(crate) fn save_settings(&mut self, settings: Settings) -> Result<(), VaultError> {
        let key = self.records.blind(Table::Own, &[SETTINGS]);
        self.records.stage(key, &settings)?;
        self.settings = settings;
        Ok(())
    }

    /// The seed of the identity.
    pub(crate) fn seed(&self) -> Result<Seed, VaultError> {
        let bytes = self
            .records
            .read_bytes(&self.records.blind(Table::Own, &[SEED]))?;
        let seed = bytes
            .as_ref()
            .and_then(|bytes| bytes.as_slice().try_into().ok());
        seed.map(Zeroizing::new)
            .ok_or_else(|| VaultError::damaged("the identity is missing"))
    }

    /// The prekeys, as the endpoint saved them last.
    pub(crate) fn prekeys(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        self.records
            .read_bytes(&self.records.blind(Table::Own, &[PREKEYS]))
    }

    fn stage_named(&mut self, name: &[u8], value: Zeroizing<Vec<u8>>) {
        let key = self.records.blind(Table::Own, &[name]);
        self.records.stage_bytes(key, value);
    }

    /// Messages of the user's that wait for their receipts.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox.waiting()
    }

    /// Messages of the user's that have not come as far as `state`.
    pub(crate) fn behind(&self, state: State) -> usize {
        match state {
            State::Received | State::Queued => 0,
            State::Accepted => self.outbox.queued(),
            State::Delivered | State::Failed => self.outbox.waiting(),
        }
    }

    /// Commits what was staged; tells what that made true.
    pub(crate) fn flush(&mut self) -> Result<(), VaultError> {
        if !self.records.is_clean() {
            let now = self.now();
            let key = self.records.blind(Table::Own, &[CLOCK]);
            self.records.stage(key, &now)?;
            self.records.commit()?;
        }
        self.happenings.append(&mut self.staged_happenings);
        Ok(())
    }

    /// What commits have made true since the last call.
    pub(crate) fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// Forgets what was not committed and reads everything anew: after an error.
    pub(crate) fn roll_back(&mut self) -> Result<(), VaultError> {
        self.records.forget_staged();
        self.staged_happenings.clear();
        self.conversations.forget();
        self.load()
    }

    /// An orderly stop: exact positions, so that no message number is skipped. Nothing is sealed
    /// after this.
    pub(crate) fn rest(&mut self) -> Result<(), VaultError> {
        self.rest_conversations()?;
        self.flush()
    }

    fn load(&mut self) -> Result<(), VaultError> {
        self.outbox = outbox::Outbox::default();
        for (key, stored) in self.records.all::<outbox::Stored>(Table::Outbox)? {
            self.outbox.load(key.last_number(), stored);
        }
        self.relays.clear();
        for (key, relay) in self.records.all(Table::Relay)? {
            let link = u8::try_from(key.last_number());
            self.relays.insert(
                link.map_err(|_| VaultError::damaged("a relay's link"))?,
                relay,
            );
        }
        self.contacts.clear();
        self.names.clear();
        for (_, contact) in self.records.all(Table::Contact)? {
            self.list_contact(contact);
        }
        let own = |name: &[u8]| self.records.blind(Table::Own, &[name]);
        self.settings = self.records.read(&own(SETTINGS))?.unwrap_or_default();
        let persisted: u64 = self.records.read(&own(CLOCK))?.unwrap_or_default();
        self.clock = self.clock.max(persisted);
        self.next_message = self.records.next_number(Table::Message)?;
        self.next_alarm = self.records.next_number(Table::Event)?;
        Ok(())
    }
}
