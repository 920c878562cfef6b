//! Rows in redb's tables: what is written behind each, and how one that was altered is told.

use redb::{Database, ReadableDatabase, TableDefinition};

use super::{Key, Table, Write};

pub(super) type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

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
pub(super) fn row_is_altered(db: &Database, key: &Key) -> Result<bool, redb::Error> {
    let rows = db.begin_read()?.open_table(definition(key.table()))?;
    key.with_bytes(|bytes| {
        let row = rows.get(bytes)?;
        Ok(row.is_some_and(|row| verified(key.table(), bytes, row.value()).is_err()))
    })
}

pub(super) fn read(db: &Database, key: &Key) -> Result<Option<Vec<u8>>, redb::Error> {
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
