//! Copies of the store: made while it is in use, checked, and put back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase};

use super::embedded::{
    Embedded, FILE, META_EPOCH, contained, definition, open_database, open_file, sync_folder,
    verified,
};
use super::{Store, StoreError, Table, Write};

/// Bytes of the copy that are held in memory while it is made.
const CACHE: usize = 16 << 20;
/// Rows that one transaction of the copy takes.
const ROWS_AT_ONCE: usize = 4096;

/// What a copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows copied, of all tables.
    pub rows: u64,
    /// Rows left out, because the disk altered them.
    pub altered: u64,
}

/// Why there is no copy, or none was put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store that is read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file of the copy.
    #[error("{0} cannot be read or written: {1}")]
    File(PathBuf, io::Error),
    /// Something is there already.
    #[error("{0} is there already; move it away first{1}")]
    Exists(PathBuf, &'static str),
}

/// Copies the store as it is now into the new file `to`, and returns when the copy is durable.
///
/// The copy is one snapshot: what is committed meanwhile is not in it, and nobody waits for it.
/// Call it on a thread that may block, with the store of the running relay; one process at a time
/// can have the file open. A failed copy leaves `to` absent.
pub fn backup(store: &Embedded, to: &Path) -> Result<Copied, BackupError> {
    let file = |error| BackupError::File(to.into(), error);
    if to.try_exists().map_err(file)? {
        return Err(BackupError::Exists(to.into(), ""));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    remove_left_over(&part)?;

    let copied = {
        let at = part.clone();
        let target = open_database(&move || Ok(Box::new(open_file(&at)?)), CACHE)?;
        store.with(|db| contained(|| copy(db, &target)))
    };
    let copied = match copied {
        Ok(copied) => copied,
        Err(error) => {
            let _ = fs::remove_file(&part);
            return Err(error.into());
        }
    };
    File::open(&part)
        .and_then(|part| part.sync_all())
        .map_err(file)?;
    fs::rename(&part, to).map_err(file)?;
    sync_folder(to).map_err(file)?;
    Ok(copied)
}

/// Puts the copy `from` in the place of the store in folder `data`, under a new epoch: clients see
/// that this is not the store that they knew, and send again what they have no receipt for.
///
/// `force` replaces a store that is there; it is kept beside the new one as `store.redb.old`.
pub fn restore(from: &Path, data: &Path, force: bool) -> Result<Copied, BackupError> {
    let path = data.join(FILE);
    let file = |error| BackupError::File(path.clone(), error);
    let there = path.try_exists().map_err(file)?;
    if there && !force {
        return Err(BackupError::Exists(path, ", or give --force"));
    }
    if !from
        .try_exists()
        .map_err(|error| BackupError::File(from.into(), error))?
    {
        let absent = io::Error::from(io::ErrorKind::NotFound);
        return Err(BackupError::File(from.into(), absent));
    }
    // A running relay's store stays its own.
    if there && let Err(StoreError::Busy) = Embedded::open(data, CACHE) {
        return Err(StoreError::Busy.into());
    }

    let new = path.with_extension("redb.new");
    remove_left_over(&new)?;
    let source = Embedded::open_file(from, CACHE)?;
    let copied = backup(&source, &new)?;
    drop(source);
    let copy = Embedded::open_file(&new, CACHE)?;
    let mut epoch = [0; 8];
    getrandom::fill(&mut epoch).map_err(|error| StoreError::Io(error.to_string()))?;
    copy.commit(&[Write::Put(META_EPOCH, Arc::from(epoch))])?;
    drop(copy);
    if there {
        fs::rename(&path, path.with_extension("redb.old")).map_err(file)?;
    }
    fs::rename(&new, &path).map_err(file)?;
    sync_folder(&path).map_err(file)?;
    Ok(copied)
}

fn copy(from: &Database, to: &Database) -> Result<Copied, redb::Error> {
    let mut copied = Copied::default();
    let snapshot = from.begin_read()?;
    for table in Table::ALL {
        let rows = snapshot.open_table(definition(table))?;
        let mut rows = rows.range::<&[u8]>(..)?;
        let mut more = true;
        while more {
            let txn = to.begin_write()?;
            {
                let mut target = txn.open_table(definition(table))?;
                for _ in 0..ROWS_AT_ONCE {
                    let Some(row) = rows.next() else {
                        more = false;
                        break;
                    };
                    let (key, value) = row?;
                    if verified(table, key.value(), value.value()).is_some() {
                        target.insert(key.value(), value.value())?;
                        copied.rows += 1;
                    } else {
                        copied.altered += 1;
                    }
                }
            }
            txn.commit()?;
        }
    }
    Ok(copied)
}

fn remove_left_over(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::File(path.into(), error))
        }
        _ => Ok(()),
    }
}
