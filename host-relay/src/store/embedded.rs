//! The embedded engine: one redb file.
//!
//! redb was chosen by measurement (STORE.md). It reaches the disk only through its
//! `StorageBackend`, so a test can put a disk beneath it that fails or loses power at any point.
//!
//! redb checks its pages only after a crash. So each row carries a checksum of its own, over its
//! table, key and value: what a bad disk altered is reported and never served.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, ReadableDatabase, ReadableTableMetadata, StorageBackend, TableHandle,
};

use super::disk::{AnyDisk, Known};
use super::file::{StoreFile, file_in, open_file, sync_folder};
use super::long::{LetGo, still_read};
use super::rows::{apply, definition, read, row_is_altered, verified};
use super::view::View;
use super::{Key, Store, StoreError, Table, Walked, Write};

/// To count free pages takes a walk over all, and everybody waits: then not for so many times as long.
const COUNT_REST: u32 = 20;
/// The version of the layout that this build writes.
const FORMAT: u32 = 1;
const META_FORMAT: Key = Key::Meta("format");
pub(super) const META_EPOCH: Key = Key::Meta("epoch");

type Disk = dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync;
type Work = dyn Fn(&Database) -> Result<(), redb::Error> + Send + Sync;

/// The relay's store in one file of its own.
///
/// After an I/O error redb wants to be opened again, and writes as it opens. So there are three states:
/// a database that takes writes; after an error none, until the next use opens it; and, where the disk takes
/// no writes at all, one for reading (`View`), until a commit finds that the disk works again.
pub struct Embedded {
    /// Makes the disk anew.
    disk: Box<Disk>,
    /// The same where it need not take writes; without it `disk` serves.
    to_read: Option<Box<Disk>>,
    cache: usize,
    /// Done to every database that is opened anew, before anybody uses it.
    anew: Option<Box<Work>>,
    /// The lock is written to only where this changes.
    db: RwLock<Opened>,
    pub(super) let_go: LetGo,
    epoch: u64,
    known: Arc<Known>,
    /// When free pages may be counted again. Held while they are.
    next_count: Mutex<Option<Instant>>,
}

enum Opened {
    None,
    Whole(Arc<Database>),
    View(Arc<Database>),
}

/// Reads that are under way end soon where the database has failed.
const LAST_READS: Duration = Duration::from_millis(200);

impl Embedded {
    /// Whether a store is in this folder.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        file_in(dir).exists()
    }

    /// Opens the store in folder `dir`, or makes one, readable by its owner only. `cache` is how
    /// many bytes of the file may be held in memory.
    pub fn open(dir: &Path, cache: usize) -> Result<Self, StoreError> {
        let path = file_in(dir);
        make_file(&path, cache)?;
        if fs::metadata(&path).map_err(failed)?.len() == 0 {
            // Ours never is. The engine would make a new store of it.
            let what = "its file is empty: something else cut it off. Restore a back-up, or move the file away to \
                        begin anew";
            return Err(StoreError::Damaged(what.into()));
        }
        let file = Arc::new(StoreFile::at(path).map_err(failed)?);
        let to_read = Arc::clone(&file);
        let mut store = Self::open_on(cache, move || file.open())?;
        store.to_read = Some(Box::new(move || to_read.open_to_read()));
        Ok(store)
    }

    /// The same on any disk. `disk` is called again after an I/O error, to recover without a
    /// restart.
    pub fn open_on(
        cache: usize,
        disk: impl Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let disk: Box<Disk> = Box::new(disk);
        let known = Arc::default();
        let db = open_database(&disk, cache, &known)?;
        let epoch = initialise(&db)?;
        Ok(Self {
            disk,
            to_read: None,
            cache,
            anew: None,
            db: RwLock::new(Opened::Whole(Arc::new(db))),
            let_go: LetGo::default(),
            epoch,
            known,
            next_count: Mutex::default(),
        })
    }

    /// Whenever the file is opened anew, `work` comes first: it puts back what was committed without fsync.
    #[cfg(feature = "cluster")]
    pub(super) fn opened_anew(
        mut self,
        work: impl Fn(&Database) -> Result<(), redb::Error> + Send + Sync + 'static,
    ) -> Self {
        self.anew = Some(Box::new(work));
        self
    }

    /// The database that takes writes.
    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        if let Opened::Whole(db) = &*self.db.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(db));
        }
        self.open_whole(&mut self.slot())
    }

    /// The database for reads, which may be one that takes no writes.
    pub(super) fn readable(&self) -> Result<Arc<Database>, StoreError> {
        let opened = self.db.read().unwrap_or_else(PoisonError::into_inner);
        if let Opened::Whole(db) | Opened::View(db) = &*opened {
            return Ok(Arc::clone(db));
        }
        drop(opened);
        let mut slot = self.slot();
        if let Opened::View(db) = &*slot {
            return Ok(Arc::clone(db));
        }
        match self.open_whole(&mut slot) {
            Err(StoreError::Io(_)) => {}
            opened => return opened,
        }
        let disk = self.to_read.as_ref().unwrap_or(&self.disk);
        let disk = disk().and_then(View::of).map_err(failed)?;
        let db = self.renewed(create(self.cache, disk))?;
        *slot = Opened::View(Arc::clone(&db));
        tracing::warn!("the disk takes no writes; what is stored is read from it all the same");
        Ok(db)
    }

    /// The next use opens the file again.
    #[cfg(feature = "cluster")]
    pub(super) fn open_anew(&self) {
        let mut slot = self.slot();
        self.let_go.end_all();
        slot.let_go();
    }

    fn slot(&self) -> RwLockWriteGuard<'_, Opened> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_whole(&self, slot: &mut Opened) -> Result<Arc<Database>, StoreError> {
        if let Opened::Whole(db) = slot {
            return Ok(Arc::clone(db));
        }
        if matches!(slot, Opened::View(_)) || !self.known.unsynced.is_empty() {
            let disk = (self.disk)().map_err(failed)?;
            self.known.unsynced.make_good(&*disk).map_err(failed)?;
        }
        // Two cannot have the file open.
        self.let_go.end_all();
        slot.let_go();
        let db = self.renewed(open_database(&self.disk, self.cache, &self.known))?;
        *slot = Opened::Whole(Arc::clone(&db));
        Ok(db)
    }

    fn renewed(&self, opened: Result<Database, StoreError>) -> Result<Arc<Database>, StoreError> {
        let db = Arc::new(opened.map_err(still_read)?);
        if let Some(work) = &self.anew
            && let Err(error) = contained(|| work(&db))
        {
            close(db);
            return Err(explain(error));
        }
        Ok(db)
    }

    /// Runs `work`; when it fails, the next use opens the file again.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.run(self.database()?, work)
    }

    /// As [`Self::with`], for work that only reads.
    fn look<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.run(self.readable()?, work)
    }

    fn run<T>(
        &self,
        db: Arc<Database>,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        contained(|| work(&db)).map_err(|error| {
            let failed = Arc::as_ptr(&db);
            // Not the last: then another one has seen to it.
            close(db);
            let mut slot = self.slot();
            if let Opened::Whole(current) | Opened::View(current) = &*slot
                && Arc::as_ptr(current) == failed
            {
                self.let_go.end_all();
                slot.let_go();
            }
            explain(error)
        })
    }
}

impl Opened {
    /// Closes the database, when the last of those who read it is done.
    fn let_go(&mut self) {
        if let Self::Whole(db) | Self::View(db) = std::mem::replace(self, Self::None) {
            let deadline = Instant::now() + LAST_READS;
            while Arc::strong_count(&db) > 1 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            close(db);
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let slot = self.db.get_mut().unwrap_or_else(PoisonError::into_inner);
        slot.let_go();
    }
}

/// redb writes when it closes a file, and panics at a structure that is broken: as in [`contained`].
pub(super) fn close(db: Arc<Database>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
}

impl Store for Embedded {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        // An altered row is no reason to open the file again: the inner result.
        self.look(|db| match read(db, key) {
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
    ) -> Result<Walked, StoreError> {
        self.look(|db| {
            let mut walked = Walked::default();
            let rows = db.begin_read()?.open_table(definition(table))?;
            for row in rows.range::<&[u8]>(from.to_be_bytes().as_slice()..)? {
                let (key, value) = row?;
                let number = key.value().try_into().map(u64::from_be_bytes);
                walked.next = number.map_or(walked.next, |number| number.saturating_add(1));
                let (Ok(number), Ok(row)) = (number, verified(table, key.value(), value.value()))
                else {
                    walked.damaged += 1;
                    continue;
                };
                if visit(number, row).is_break() {
                    break;
                }
            }
            Ok(walked)
        })
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.look(|db| Ok(db.begin_read()?.open_table(definition(table))?.len()?))
    }

    fn file_bytes(&self) -> u64 {
        self.known.len.load(Ordering::Relaxed)
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

fn open_database(disk: &Disk, cache: usize, known: &Arc<Known>) -> Result<Database, StoreError> {
    let disk = disk().map_err(failed)?;
    let len = disk.len().map_err(failed)?;
    known.len.store(len, Ordering::Relaxed);
    create(cache, AnyDisk(disk, Arc::clone(known)))
}

fn create(cache: usize, disk: impl StorageBackend) -> Result<Database, StoreError> {
    let open = || {
        Ok(Builder::new()
            .set_cache_size(cache)
            .create_with_backend(disk)?)
    };
    contained(open).map_err(explain)
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
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
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    let new = path.with_extension("redb.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let at = new.clone();
    drop(Embedded::open_on(cache, move || {
        Ok(Box::new(open_file(&at)?))
    })?);
    fs::rename(&new, path).map_err(failed)?;
    sync_folder(path).map_err(failed)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system may vanish with its device: in the folder beneath there is no store.
    #[test]
    fn a_store_that_is_opened_again_is_the_same_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(folder.path(), 1 << 20).unwrap();
        let put = |n| [Write::Put(Key::Message(n), Arc::from([7; 9]))];
        store.commit(&put(1)).unwrap();

        let (file, aside) = (file_in(folder.path()), folder.path().join("aside"));
        store.slot().let_go();
        fs::rename(&file, &aside).unwrap();
        assert!(matches!(store.commit(&put(2)), Err(StoreError::Io(_))));
        assert!(matches!(
            store.get(&Key::Message(1)),
            Err(StoreError::Io(_))
        ));
        assert!(!file.exists(), "nothing is made in its place");

        drop(Embedded::open(folder.path(), 1 << 20).unwrap());
        assert!(matches!(store.commit(&put(2)), Err(StoreError::Io(_))));
        assert!(matches!(
            store.get(&Key::Message(1)),
            Err(StoreError::Io(_))
        ));

        fs::rename(&aside, &file).unwrap();
        store.commit(&put(2)).unwrap();
        for n in [1, 2] {
            assert!(store.get(&Key::Message(n)).unwrap().is_some());
        }
    }
}
