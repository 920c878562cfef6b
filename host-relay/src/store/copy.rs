//! Copies of a store: to back it up while it is in use, and to put a copy in its place.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::embedded::{self, Embedded, META_EPOCH, contained, explain, random_epoch};
use super::file::{file_in, open_file, sync_folder};
use super::long::Long;
use super::rows::{apply, definition, verified};
use super::{StoreError, Table, Write};

/// Rows that go to the copy in one transaction: they are in memory until it is committed.
const AT_ONCE: usize = 10_000;

/// What a walk over a whole store has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows whose checksum is right.
    pub sound: u64,
    /// Rows that are not what was written.
    pub damaged: u64,
}

impl Embedded {
    /// Writes the store as it is now to a new file; what is committed meanwhile is not in it. It can
    /// be used at any time. Damaged rows are left out and counted.
    ///
    /// # Errors
    /// [`StoreError`], where the store fails meanwhile, too: it does not wait for a copy. There is then no file of that name, or the one that was there.
    pub fn copy_to(&self, file: &Path) -> Result<Rows, StoreError> {
        self.copy(file, None)
    }

    /// The same with another epoch: clients notice that the store went back.
    pub(crate) fn copy_anew(&self, file: &Path) -> Result<Rows, StoreError> {
        self.copy(file, Some(random_epoch()?))
    }

    fn copy(&self, file: &Path, epoch: Option<[u8; 8]>) -> Result<Rows, StoreError> {
        if file.exists() {
            let said = format!("{} exists; give another name", file.display());
            return Err(StoreError::Io(said));
        }
        // A copy that was cut short never bears the name of a whole one.
        let part = file.with_extension("part");
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let backend = open_file(&part).map_err(|error| failed(&error))?;
        let long = self.let_go.begin();
        let db = self.readable()?;
        // Not through `with`: a full disk elsewhere is no reason to open this store again.
        let copied = contained(|| fill(&db, backend, epoch, &long)).map_err(explain);
        embedded::close(db);
        if copied.is_err() {
            let _ = fs::remove_file(&part);
        }
        let rows = copied?;
        fs::rename(&part, file).map_err(|error| failed(&error))?;
        sync_folder(file).map_err(|error| failed(&error))?;
        Ok(rows)
    }
}

fn failed(error: &io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

fn fill(
    db: &Database,
    backend: FileBackend,
    epoch: Option<[u8; 8]>,
    long: &Long,
) -> Result<Rows, redb::Error> {
    let copy = Builder::new().create_with_backend(backend)?;
    // One transaction reads all tables: they belong together.
    let read = db.begin_read()?;
    let mut rows = Rows::default();
    for table in Table::ALL {
        let found = copy_table(&read, &copy, table, long)?;
        rows.sound += found.sound;
        rows.damaged += found.damaged;
    }
    if let Some(epoch) = epoch {
        apply(&copy, &[Write::Put(META_EPOCH, Arc::from(epoch))])?;
    }
    Ok(rows)
}

fn copy_table(
    from: &ReadTransaction,
    to: &Database,
    table: Table,
    long: &Long,
) -> Result<Rows, redb::Error> {
    let source = from.open_table(definition(table))?;
    let mut rows = source.iter()?;
    let mut counted = Rows::default();
    loop {
        let txn = to.begin_write()?;
        let mut taken = 0;
        {
            let mut target = txn.open_table(definition(table))?;
            for row in rows.by_ref().take(AT_ONCE) {
                long.goes_on()?;
                let (key, value) = row?;
                taken += 1;
                match verified(table, key.value(), value.value()) {
                    Ok(_) => {
                        target.insert(key.value(), value.value())?;
                        counted.sound += 1;
                    }
                    Err(_) => counted.damaged += 1,
                }
            }
        }
        txn.commit()?;
        if taken < AT_ONCE {
            return Ok(counted);
        }
    }
}

/// Puts the store in folder `from` into folder `to`, with an epoch of its own.
///
/// # Errors
/// [`StoreError`]; what stood in `to` stands there unchanged.
pub fn restore(from: &Path, to: &Path, cache: usize) -> Result<Rows, StoreError> {
    let file = file_in(to);
    if file.exists() {
        // A relay that runs there would go on with a file that has no name any more.
        if let Err(StoreError::Busy) = Embedded::open(to, cache) {
            return Err(StoreError::Busy);
        }
    }
    let fresh = file.with_extension("restored");
    if fresh.exists() {
        fs::remove_file(&fresh).map_err(|error| failed(&error))?;
    }
    let rows = Embedded::open(from, cache)?.copy_anew(&fresh)?;
    fs::rename(&fresh, &file).map_err(|error| failed(&error))?;
    sync_folder(&file).map_err(|error| failed(&error))?;
    Ok(rows)
}
