//! Sealed records over one database table: staged in memory, committed all at once.
//!
//! A key in the database is a table's letter and either a number (what is ordered) or a keyed hash
//! (what is looked up), so the file shows how many records of which size there are, and nothing
//! about whom.

use std::{collections::BTreeMap, ops::RangeInclusive};

use hmac::{Hmac, KeyInit as _, Mac as _};
use hushwire_core::snapshot::{HEADROOM, OVERHEAD, StorageKey};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    OsRng, VaultError,
    header::{FORMAT, RawKey},
};

pub(super) const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");
const INDEX_LABEL: &[u8] = b"hushwire vault v1 index";

/// The kinds of record. A letter is for ever: it is part of the slot that a record is sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Table {
    /// The seed, the endpoint's own record, settings: by name.
    Own = b'o',
    /// Conversations, by address.
    Conversation = b'c',
    /// The outbox, by order.
    Outbox = b'q',
    /// Every message, by the order in which it was recorded.
    Message = b'm',
    /// Contact ‖ message number: nothing inside.
    Thread = b't',
    /// Message ids, for ever: the message's number inside.
    Seen = b's',
    /// What happened and is not a message, by order.
    Event = b'e',
    /// Contacts, by address.
    Contact = b'p',
    /// Relays, by link.
    Relay = b'r',
    /// Keys that relays had before, by key: the next one inside.
    Former = b'f',
}

/// A record's name in the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn number(table: Table, number: u64) -> Self {
        let mut key = vec![table as u8];
        key.extend_from_slice(&number.to_be_bytes());
        Self(key)
    }

    /// The number at the end of a key.
    pub(super) fn last_number(&self) -> u64 {
        self.0
            .last_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Names records by a keyed hash of what must not show in the file.
pub(super) struct Names(Hmac<Sha256>);

impl Names {
    pub(super) fn new(key: &RawKey) -> Result<Self, VaultError> {
        let damaged = |_| VaultError::damaged("its index key");
        let mut derive = <Hmac<Sha256>>::new_from_slice(&**key).map_err(damaged)?;
        derive.update(INDEX_LABEL);
        let index = Zeroizing::new(<[u8; 32]>::from(derive.finalize().into_bytes()));
        <Hmac<Sha256>>::new_from_slice(&*index)
            .map(Self)
            .map_err(damaged)
    }

    /// The name of a record that is looked up.
    pub(super) fn blind(&self, table: Table, parts: &[&[u8]]) -> Key {
        let mut mac = self.0.clone();
        mac.update(&[table as u8]);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let hash = mac.finalize().into_bytes();
        let mut key = vec![table as u8];
        key.extend_from_slice(&hash[..16]);
        Key(key)
    }

    /// The place of a message in its thread.
    pub(super) fn thread(&self, contact: &[u8], number: u64) -> Key {
        let Key(mut key) = self.blind(Table::Thread, &[contact]);
        key.extend_from_slice(&number.to_be_bytes());
        Key(key)
    }
}

/// The database, its keys, and what waits for the next commit.
pub(super) struct Records {
    pub(super) database: Database,
    key: StorageKey,
    names: Names,
    staged: BTreeMap<Key, Option<Zeroizing<Vec<u8>>>>,
    rng: OsRng,
}

impl Records {
    pub(super) fn new(database: Database, key: &RawKey) -> Result<Self, VaultError> {
        Ok(Self {
            database,
            key: StorageKey::from_bytes(**key),
            names: Names::new(key)?,
            staged: BTreeMap::new(),
            rng: OsRng::default(),
        })
    }

    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// See [`Names::blind`].
    pub(super) fn blind(&self, table: Table, parts: &[&[u8]]) -> Key {
        self.names.blind(table, parts)
    }

    pub(super) fn stage<T: Serialize>(&mut self, key: Key, value: &T) -> Result<(), VaultError> {
        let bytes = postcard::to_allocvec(value);
        let bytes = bytes.map_err(|_| VaultError::damaged("a record does not encode"))?;
        self.stage_bytes(key, Zeroizing::new(bytes));
        Ok(())
    }

    pub(super) fn stage_bytes(&mut self, key: Key, value: Zeroizing<Vec<u8>>) {
        self.staged.insert(key, Some(value));
    }

    pub(super) fn stage_removal(&mut self, key: Key) {
        self.staged.insert(key, None);
    }

    pub(super) fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, VaultError> {
        self.read_bytes(key)?
            .map(|bytes| decode(&bytes))
            .transpose()
    }

    pub(super) fn read_bytes(&self, key: &Key) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        if let Some(staged) = self.staged.get(key) {
            return Ok(staged.clone());
        }
        let table = self.database.begin_read()?.open_table(RECORDS)?;
        match table.get(key.bytes())? {
            Some(sealed) => self.open(key, sealed.value().to_vec()).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn has(&self, key: &Key) -> Result<bool, VaultError> {
        match self.staged.get(key) {
            Some(staged) => Ok(staged.is_some()),
            None => {
                let table = self.database.begin_read()?.open_table(RECORDS)?;
                Ok(table.get(key.bytes())?.is_some())
            }
        }
    }

    /// Every committed record of a table, in order.
    pub(super) fn all<T: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<Vec<(Key, T)>, VaultError> {
        let (first, last) = (vec![table as u8], vec![table as u8 + 1]);
        let rows = self.database.begin_read()?.open_table(RECORDS)?;
        rows.range(first.as_slice()..last.as_slice())?
            .map(|row| {
                let (key, sealed) = row?;
                let key = Key::from_bytes(key.value());
                let value = decode(&self.open(&key, sealed.value().to_vec())?)?;
                Ok((key, value))
            })
            .collect()
    }

    /// Every committed record of a table, as bytes, one after the other.
    pub(super) fn each(
        &self,
        table: Table,
        mut take: impl FnMut(&[u8]) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let (first, last) = (vec![table as u8], vec![table as u8 + 1]);
        let rows = self.database.begin_read()?.open_table(RECORDS)?;
        for row in rows.range(first.as_slice()..last.as_slice())? {
            let (key, sealed) = row?;
            let key = Key::from_bytes(key.value());
            take(&self.open(&key, sealed.value().to_vec())?)?;
        }
        Ok(())
    }

    /// The numbers at the end of committed keys, newest first, at most `limit`.
    pub(super) fn numbers_back(
        &self,
        range: RangeInclusive<Key>,
        limit: usize,
    ) -> Result<Vec<u64>, VaultError> {
        if range.start() > range.end() {
            return Ok(Vec::new());
        }
        let rows = self.database.begin_read()?.open_table(RECORDS)?;
        rows.range(range.start().bytes()..=range.end().bytes())?
            .rev()
            .take(limit)
            .map(|row| Ok(Key::from_bytes(row?.0.value()).last_number()))
            .collect()
    }

    /// One more than the highest committed number of a table.
    pub(super) fn next_number(&self, table: Table) -> Result<u64, VaultError> {
        let all = Key::number(table, 0)..=Key::number(table, u64::MAX);
        Ok(self
            .numbers_back(all, 1)?
            .first()
            .map_or(1, |last| last.saturating_add(1)))
    }

    pub(super) fn is_clean(&self) -> bool {
        self.staged.is_empty()
    }

    pub(super) fn forget_staged(&mut self) {
        self.staged.clear();
    }

    /// Seals and writes everything staged in one transaction, and waits for the disk.
    pub(super) fn commit(&mut self) -> Result<(), VaultError> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(RECORDS)?;
            for (key, value) in &self.staged {
                match value {
                    Some(value) => {
                        let sealed = seal(&self.key, &mut self.rng, key, u64::from(FORMAT), value)?;
                        table.insert(key.bytes(), sealed.as_slice())?;
                    }
                    None => {
                        table.remove(key.bytes())?;
                    }
                }
            }
        }
        transaction.commit()?;
        self.staged.clear();
        Ok(())
    }

    fn open(&self, key: &Key, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.key, key, u64::from(FORMAT), sealed)
    }
}

pub(super) fn seal(
    storage: &StorageKey,
    rng: &mut OsRng,
    key: &Key,
    epoch: u64,
    value: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let mut record = vec![0; value.len() + OVERHEAD];
    record[HEADROOM..HEADROOM + value.len()].copy_from_slice(value);
    let sealed = storage.seal(rng, key.bytes(), epoch, &mut record);
    sealed.map_err(|_| VaultError::damaged("a record does not seal"))?;
    Ok(record)
}

pub(super) fn open(
    storage: &StorageKey,
    key: &Key,
    epoch: u64,
    sealed: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut sealed = Zeroizing::new(sealed);
    let contents = storage.open(key.bytes(), epoch, &mut sealed);
    let contents = contents.map_err(|_| VaultError::damaged("a record does not open"))?;
    Ok(Zeroizing::new(contents.to_vec()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, VaultError> {
    postcard::from_bytes(bytes).map_err(|_| VaultError::damaged("a record does not decode"))
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            database: _,
            key: _secret,
            names: _keyed,
            staged,
            rng: _,
        } = self;
        write!(f, "Records {{ staged: {}, .. }}", staged.len())
    }
}
