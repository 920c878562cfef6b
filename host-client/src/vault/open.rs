//! Making, opening and re-sealing a vault.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase as _, TableDefinition};
use zeroize::Zeroizing;

use super::{
    OsRng, SEED, Settings, Unlock, Vault, VaultError,
    conversation::Conversations,
    header::{self, FORMAT, RawKey},
    outbox::Outbox,
    records::{RECORDS, Records},
    upgrade,
};
use crate::words::Seed;

pub(super) const HEADER: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("header");
pub(super) const HEADER_KEY: &str = "header";
const DATABASE: &str = "vault.redb";
const UNFINISHED: &str = "vault.new";
const LOCK: &str = "lock";
/// Pages of the database that are kept in memory, bytes.
const CACHE: usize = 16 * 1024 * 1024;

impl Vault {
    /// Whether there is a vault in a folder.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE).exists()
    }

    /// Makes a vault for the identity that grows from `seed`.
    pub(crate) fn create(folder: &Path, unlock: &Unlock, seed: &Seed) -> Result<Self, VaultError> {
        make_folder(folder)?;
        let lock = lock(folder)?;
        if Self::exists(folder) {
            return Err(VaultError::Exists(folder.into()));
        }
        let mut key: RawKey = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|_| VaultError::Randomness)?;
        let unfinished = folder.join(UNFINISHED);
        remove(&unfinished)?;
        {
            // The vault appears whole under its name, or not at all.
            let database = database(private_file(&unfinished)?)?;
            let header = header::seal(FORMAT, &key, unlock, &mut OsRng::default())?;
            let transaction = database.begin_write()?;
            transaction
                .open_table(HEADER)?
                .insert(HEADER_KEY, header.as_slice())?;
            transaction.open_table(RECORDS)?;
            transaction.commit()?;
            let mut records = Records::new(database, &key)?;
            let name = records.blind(super::Table::Own, &[SEED]);
            records.stage_bytes(name, Zeroizing::new(seed.to_vec()));
            records.commit()?;
        }
        fs::rename(&unfinished, folder.join(DATABASE))?;
        File::open(folder)?.sync_all()?;
        Self::open_locked(folder, unlock, lock)
    }

    /// Opens a vault; upgrades an older one first.
    pub(crate) fn open(folder: &Path, unlock: &Unlock) -> Result<Self, VaultError> {
        if !Self::exists(folder) {
            return Err(VaultError::Missing(folder.into()));
        }
        let lock = lock(folder)?;
        Self::open_locked(folder, unlock, lock)
    }

    fn open_locked(folder: &Path, unlock: &Unlock, lock: File) -> Result<Self, VaultError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(DATABASE))?;
        if file.metadata()?.len() == 0 {
            return Err(VaultError::damaged("its file is empty"));
        }
        let database = database(file)?;
        let header = read_header(&database)?;
        let key = header::open(&header, unlock)?;
        let format = header::format(&header)?;
        if format < FORMAT {
            upgrade::run(&database, format, &key, unlock)?;
        }
        let mut vault = Self {
            folder: folder.into(),
            records: Records::new(database, &key)?,
            conversations: Conversations::default(),
            outbox: Outbox::default(),
            contacts: BTreeMap::new(),
            names: HashMap::new(),
            relays: BTreeMap::new(),
            settings: Settings::default(),
            next_message: 1,
            next_alarm: 1,
            clock: 0,
            staged_happenings: Vec::new(),
            happenings: Vec::new(),
            _lock: lock,
        };
        vault.load()?;
        Ok(vault)
    }

    /// Seals the storage key under another passphrase or key file. The old one opens nothing after.
    pub(crate) fn change_unlock(&mut self, old: &Unlock, new: &Unlock) -> Result<(), VaultError> {
        self.flush()?;
        let database = &self.records.database;
        let key = header::open(&read_header(database)?, old)?;
        let header = header::seal(FORMAT, &key, new, &mut OsRng::default())?;
        let transaction = database.begin_write()?;
        transaction
            .open_table(HEADER)?
            .insert(HEADER_KEY, header.as_slice())?;
        transaction.commit()?;
        Ok(())
    }
}

pub(super) fn read_header(database: &Database) -> Result<Vec<u8>, VaultError> {
    let table = database.begin_read()?.open_table(HEADER)?;
    let header = table
        .get(HEADER_KEY)?
        .ok_or_else(|| VaultError::damaged("it has no header"))?;
    Ok(header.value().to_vec())
}

fn database(file: File) -> Result<Database, VaultError> {
    let backend = redb::backends::FileBackend::new(file)?;
    Ok(Database::builder()
        .set_cache_size(CACHE)
        .create_with_backend(backend)?)
}

/// One process owns the vault: the lock ends with the process, however it ends.
fn lock(folder: &Path) -> Result<File, VaultError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(VaultError::InUse(folder.into())),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn make_folder(folder: &Path) -> Result<(), VaultError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(folder)?)
}

fn private_file(path: &PathBuf) -> Result<File, VaultError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?)
}

fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
