//! The embedded engine: one redb file.
//!
//! redb was chosen by measurement (STORE.md). It reaches the disk only through its
//! `StorageBackend`, so a test can put a disk beneath it that fails or loses power at any point.
//!
//! redb checks its pages only after a crash. So each row carries a checksum of its own, over its
//! table, key and value: what a bad disk altered is reported and never served.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTableMetadata, StorageBackend, TableDefinition,
    TableHandle,
};

use super::disk::AnyDisk;
use super::{Key, Store, StoreError, Table, Write};

/// To count free pages takes a walk over all, and everybody waits: then not for so many times as long.
const COUNT_REST: u32 = 20;
/// The version of the layout that this build writes.
const FORMAT: u32 = 1;
const META_FORMAT: Key = Key::Meta("format");
pub(super) const META_EPOCH: Key = Key::Meta("epoch");

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Disk = dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync;

/// The relay's store in one file of its own.
pub struct Embedded {
    /// Makes the disk anew. After an I/O error redb wants to be opened again: see `reopen`.
    disk: Box<Disk>,
    cache: usize,
    /// `None` after an error, until the next use opens it. The lock is written to only then.
    db: RwLock<Option<Arc<Database>>>,
    epoch: u64,
    /// The file's length.
    len: Arc<AtomicU64>,
    /// When free pages may be counted again. Held while they are.
    next_count: Mutex<Option<Instant>>,
}

impl Embedded {
    /// Opens the store in folder `dir`, or makes one, readable by its owner only. `cache` is how
    /// many bytes of the file may be held in memory.
    pub fn open(dir: &Path, cache: usize) -> Result<Self, StoreError> {
        let path = file_in(dir);
        make_file(&path, cache)?;
        Self::open_on(cache, move || Ok(Box::new(open_file(&path)?)))
    }

    /// The same on any disk. `disk` is called again after an I/O error, to recover without a
    /// restart.
    pub fn open_on(
        cache: usize,
        disk: impl Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let disk: Box<Disk> = Box::new(disk);
        let len = Arc::default();
        let db = open_database(&disk, cache, &len)?;
        let epoch = initialise(&db)?;
        Ok(Self {
            disk,
            cache,
            db: RwLock::new(Some(Arc::new(db))),
            epoch,
            len,
            next_count: Mutex::default(),
        })
    }

    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        if let Some(db) = &*self.db.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(db));
        }
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(db) = &*slot {
            return Ok(Arc::clone(db));
        }
        let db = Arc::new(open_database(&self.disk, self.cache, &self.len)?);
        *slot = Some(Arc::clone(&db));
        Ok(db)
    }

    /// Runs `work`; when it fails, the next use opens the file again.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let db = self.database()?;
        contained(|| work(&db)).map_err(|error| {
            let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
            if slot
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &db))
            {
                *slot = None;
            }
            drop(slot);
            let_go(db);
            explain(error)
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let slot = self.db.get_mut().unwrap_or_else(PoisonError::into_inner);
        slot.take().into_iter().for_each(let_go);
    }
}

/// redb writes when it closes a file, and panics at a structure that is broken: as in [`contained`].
fn let_go(db: Arc<Database>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
}

impl Store for Embedded {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        // An altered row is no reason to open the file again: the inner result.
        self.with(|db| match read(db, key) {
            Err(redb::Error::Corrupted(_)) if row_is_altered(db, key)? => {
                Ok(Err(StoreError::Altered(key.table().name())))
            }
            other => other.map(Ok),
        })?
    }

    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<u64, StoreError> {
        self.with(|db| {
            let mut damaged = 0;
            let rows = db.begin_read()?.open_table(definition(table))?;
            for row in rows.range::<&[u8]>(from.to_be_bytes().as_slice()..)? {
                let (key, value) = row?;
                let number = key.value().try_into().map(u64::from_be_bytes);
                let (Ok(number), Ok(row)) = (number, verified(table, key.value(), value.value()))
                else {
                    damaged += 1;
                    continue;
                };
                if visit(number, row).is_break() {
                    break;
                }
            }
            Ok(damaged)
        })
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.with(|db| Ok(db.begin_read()?.open_table(definition(table))?.len()?))
    }

    fn file_bytes(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        let mut next = self
            .next_count
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if next.is_some_and(|next| began < next) {
            return Ok(None);
        }
        let free = self.with(|db| {
            let txn = db.begin_write()?;
            let stats = txn.stats()?;
            txn.abort()?;
            let taken = stats.allocated_pages() * stats.page_size() as u64;
            Ok(self.file_bytes().saturating_sub(taken))
        })?;
        *next = Some(Instant::now() + began.elapsed() * COUNT_REST);
        Ok(Some(free))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.with(|db| apply(db, writes))
    }
}

pub(super) fn apply(db: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    {
        let mut open = Table::ALL.map(|_| None);
        for write in writes {
            let (Write::Put(key, _) | Write::Delete(key)) = write;
            let slot = &mut open[key.table() as usize];
            let table = match slot {
                Some(table) => table,
                None => slot.insert(txn.open_table(definition(key.table()))?),
            };
            key.with_bytes(|bytes| match write {
                Write::Put(_, value) => put_row(table, key.table(), bytes, value),
                Write::Delete(_) => table.remove(bytes).map(drop),
            })?;
        }
    }
    Ok(txn.commit()?)
}

/// A row and its checksum.
pub(super) fn put_row(
    rows: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<(), redb::StorageError> {
    let mut row = rows.insert_reserve(key, value.len() + CHECKSUM)?;
    let (head, tail) = row.as_mut().split_at_mut(value.len());
    head.copy_from_slice(value);
    tail.copy_from_slice(&checksum(table, key, value));
    Ok(())
}

/// Whether the row is there and its checksum is wrong.
fn row_is_altered(db: &Database, key: &Key) -> Result<bool, redb::Error> {
    let rows = db.begin_read()?.open_table(definition(key.table()))?;
    key.with_bytes(|bytes| {
        let row = rows.get(bytes)?;
        Ok(row.is_some_and(|row| verified(key.table(), bytes, row.value()).is_err()))
    })
}

fn read(db: &Database, key: &Key) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = db.begin_read()?.open_table(definition(key.table()))?;
    key.with_bytes(|bytes| match rows.get(bytes)? {
        Some(row) => Ok(Some(verified(key.table(), bytes, row.value())?.to_vec())),
        None => Ok(None),
    })
}

/// Bytes behind each row.
const CHECKSUM: usize = 4;

fn checksum(table: Table, key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    for part in [&[table as u8], key, value] {
        hasher.update(part);
    }
    hasher.finalize().to_be_bytes()
}

/// The value of a row as it was written, its checksum checked and taken off.
pub(super) fn verified<'a>(
    table: Table,
    key: &[u8],
    row: &'a [u8],
) -> Result<&'a [u8], redb::Error> {
    match row.split_last_chunk::<CHECKSUM>() {
        Some((value, check)) if *check == checksum(table, key, value) => Ok(value),
        _ => Err(redb::Error::Corrupted(format!(
            "a row of {} was altered",
            table.name()
        ))),
    }
}

pub(super) fn definition(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// Makes the tables of a new store; checks the format of an old one. Returns its epoch.
pub(super) fn initialise(db: &Database) -> Result<u64, StoreError> {
    let format = match read(db, &META_FORMAT) {
        Ok(format) => format,
        Err(redb::Error::TableDoesNotExist(_)) => None,
        Err(error) => return Err(explain(error)),
    };
    if let Some(format) = format {
        let found = format.try_into().map(u32::from_be_bytes);
        let found = found.map_err(|_| StoreError::Damaged("its format is unreadable".into()))?;
        if found > FORMAT {
            return Err(StoreError::Newer {
                found,
                known: FORMAT,
            });
        }
        make_tables(db).map_err(explain)?;
        let epoch = read(db, &META_EPOCH).map_err(explain)?;
        let epoch = epoch
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_be_bytes);
        return epoch.ok_or_else(|| StoreError::Damaged("it has no epoch".into()));
    }

    let epoch = random_epoch()?;
    make_tables(db).map_err(explain)?;
    let format = Write::Put(META_FORMAT, Arc::from(FORMAT.to_be_bytes()));
    let epoch_row = Write::Put(META_EPOCH, Arc::from(epoch));
    apply(db, &[format, epoch_row]).map_err(explain)?;
    Ok(u64::from_be_bytes(epoch))
}

/// Makes the tables that are not there: all of a new store, or those that came since it was made.
fn make_tables(db: &Database) -> Result<(), redb::Error> {
    let there: Vec<_> = db
        .begin_read()?
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    let mut missing = Table::ALL
        .into_iter()
        .filter(|table| !there.iter().any(|name| name == table.name()))
        .peekable();
    if missing.peek().is_none() {
        return Ok(());
    }
    let txn = db.begin_write()?;
    for table in missing {
        txn.open_table(definition(table))?;
    }
    Ok(txn.commit()?)
}

pub(super) fn random_epoch() -> Result<[u8; 8], StoreError> {
    let mut epoch = [0; 8];
    getrandom::fill(&mut epoch).map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(epoch)
}

/// The store's file in a folder.
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join("store.redb")
}

fn open_database(disk: &Disk, cache: usize, len: &Arc<AtomicU64>) -> Result<Database, StoreError> {
    let io = |error: io::Error| StoreError::Io(error.to_string());
    let disk = disk().map_err(io)?;
    len.store(disk.len().map_err(io)?, Ordering::Relaxed);
    let open = || {
        Ok(Builder::new()
            .set_cache_size(cache)
            .create_with_backend(AnyDisk(disk, Arc::clone(len)))?)
    };
    contained(open).map_err(explain)
}

/// redb panics where a file says what it never wrote. That is damage, and no reason to fall.
pub(super) fn contained<T>(
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("its structure is broken".into())))
}

/// Makes a new store under another name first: a power cut in the midst of it leaves no half store
/// in the place of one.
fn make_file(path: &Path, cache: usize) -> Result<(), StoreError> {
    let io = |error: io::Error| StoreError::Io(error.to_string());
    if path.try_exists().map_err(io)? {
        return Ok(());
    }
    let new = path.with_extension("redb.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let at = new.clone();
    drop(Embedded::open_on(cache, move || {
        Ok(Box::new(open_file(&at)?))
    })?);
    fs::rename(&new, path).map_err(io)?;
    sync_folder(path).map_err(io)
}

pub(super) fn open_file(path: &Path) -> io::Result<FileBackend> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options.open(path)?;
    sync_folder(path)?;
    FileBackend::new(file).map_err(io::Error::other)
}

/// A new file's name is durable only with its folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

pub(super) fn explain(error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(what) => StoreError::Damaged(what),
        redb::Error::DatabaseAlreadyOpen => StoreError::Busy,
        other @ redb::Error::UpgradeRequired(_) => StoreError::Damaged(other.to_string()),
        redb::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Damaged(error.to_string())
        }
        other => StoreError::Io(other.to_string()),
    }
}
