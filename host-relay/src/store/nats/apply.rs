//! Batches of the journal into the copy's tables, and what waits of them into memory.

use redb::{Database, Durability, WriteTransaction};

use super::entry;
use super::local::{MARK, Mark, STATE};
use crate::store::Table;
use crate::store::rows::{definition, put_row, verified};
use crate::stored::Stored;

/// A batch, and how far the copy is with it.
pub(super) fn apply(
    db: &Database,
    body: &[u8],
    mark: Mark,
    durability: Durability,
    stored: &mut Option<Stored>,
) -> Result<(), redb::Error> {
    let mut txn = db.begin_write()?;
    txn.set_durability(durability)?;
    put_rows(&txn, body, stored)?;
    txn.open_table(STATE)?
        .insert(MARK, mark.emit().as_slice())?;
    Ok(txn.commit()?)
}

/// Rows of a batch or of a snapshot.
pub(super) fn put_rows(
    txn: &WriteTransaction,
    body: &[u8],
    stored: &mut Option<Stored>,
) -> Result<(), redb::Error> {
    let mut open = Table::ALL.map(|_| None);
    for row in entry::rows(body) {
        let (table, key, value) = row.map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        let slot = &mut open[table as usize];
        let rows = match slot {
            Some(rows) => rows,
            None => slot.insert(txn.open_table(definition(table))?),
        };
        let arrival = match table {
            Table::Messages => key.as_array().map(|key| u64::from_be_bytes(*key)),
            _ => None,
        };
        match value {
            Some(value) => {
                put_row(rows, table, key, value)?;
                if let (Some(kept), Some(arrival)) = (stored.as_mut(), arrival) {
                    kept.put(arrival, value);
                }
            }
            None => {
                let removed = rows.remove(key)?;
                if let (Some(kept), Some(_), Some(row)) = (stored.as_mut(), arrival, removed) {
                    match verified(table, key, row.value()) {
                        Ok(row) => kept.remove(row),
                        // Whose it was cannot be told.
                        Err(_) => *stored = None,
                    }
                }
            }
        }
    }
    Ok(())
}
