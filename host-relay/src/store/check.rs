//! Reads every row, and says whether they are well and agree with one another.

use std::collections::HashMap;
use std::ops::ControlFlow;

use redb::{Database, ReadableDatabase};

use super::embedded::{Embedded, definition, verified};
use super::record::{Account, MessageHeader, parse_acked, parse_notices};
use super::{Store, StoreError, Table};
use hushwire_core::wire::request::PREKEY_LEN;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows of each table, in the order of `Table::ALL`.
    pub rows: [u64; Table::ALL.len()],
    /// Rows whose checksum is wrong or whose contents have no meaning.
    pub unreadable: u64,
    /// Accounts whose count of prekeys is not what is stored.
    pub wrong_counts: u64,
    /// Mailboxes with messages out of order.
    pub disordered: u64,
    /// Unreadable rows that were taken out.
    pub removed: u64,
}

impl Report {
    /// Nothing is wrong, or nothing any more.
    pub fn is_well(&self) -> bool {
        self.unreadable == self.removed && self.wrong_counts == 0 && self.disordered == 0
    }
}

type Bad = Vec<(Table, Vec<u8>)>;

/// Verifies every row of the store, and with `repair` takes out those that cannot be read. Nobody
/// may write to the store meanwhile.
pub fn check(store: &Embedded, repair: bool) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut bad = Bad::new();
    store.with(|db| read_all(db, &mut report, &mut bad))?;
    let mut last = HashMap::new();
    store.walk(Table::Messages, 0, &mut |_, row| {
        if let Ok(header) = MessageHeader::parse(row) {
            let before = last.insert(header.to, header.sequence).unwrap_or(0);
            report.disordered += u64::from(header.sequence <= before);
        }
        ControlFlow::Continue(())
    })?;
    report.unreadable = bad.len() as u64;
    // Without its clock or epoch a store would begin again in the midst: that is for `restore`.
    bad.retain(|(table, _)| *table != Table::Meta);
    if repair {
        store.with(|db| remove(db, &bad))?;
        report.removed = bad.len() as u64;
    }
    Ok(report)
}

fn read_all(db: &Database, report: &mut Report, bad: &mut Bad) -> Result<(), redb::Error> {
    let snapshot = db.begin_read()?;
    let prekeys = snapshot.open_table(definition(Table::Prekeys))?;
    for (table, count) in Table::ALL.into_iter().zip(&mut report.rows) {
        let rows = snapshot.open_table(definition(table))?;
        for row in rows.range::<&[u8]>(..)? {
            let (key, row) = row?;
            let (key, row) = (key.value(), row.value());
            *count += 1;
            let Some(row) = verified(table, key, row).filter(|row| has_meaning(table, row)) else {
                bad.push((table, key.to_vec()));
                continue;
            };
            if table == Table::Accounts
                && let Ok(account) = Account::parse(row)
            {
                let stored = prekeys.get(key)?;
                let stored = stored.map_or(0, |row| row.value().len() / PREKEY_LEN);
                report.wrong_counts += u64::from(stored != usize::from(account.prekeys));
            }
        }
    }
    Ok(())
}

fn has_meaning(table: Table, row: &[u8]) -> bool {
    match table {
        Table::Accounts => Account::parse(row).is_ok(),
        Table::Messages => MessageHeader::parse(row).is_ok(),
        Table::Notices => parse_notices(row).is_ok(),
        Table::Acked => parse_acked(row).is_ok(),
        Table::Prekeys => row.len().is_multiple_of(PREKEY_LEN),
        Table::Meta | Table::Bundles | Table::Contacts | Table::Names => true,
    }
}

fn remove(db: &Database, bad: &Bad) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    for (table, key) in bad {
        txn.open_table(definition(*table))?.remove(key.as_slice())?;
    }
    Ok(txn.commit()?)
}
