//! Reads every row of a store that nobody uses; says whether they are well and agree with one another,
//! and mends what can be mended.
//!
//! Nothing is thrown away: a row that cannot be read, and an account as it was before it was mended,
//! stand in a file beside the store before the store changes.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hushwire_core::identity::Address;
use hushwire_core::wire::request::PREKEY_LEN;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::embedded::Embedded;
use super::file::sync_folder;
use super::record::{AccessRow, Account, MessageHeader, parse_acked, parse_notices};
use super::rows::{apply, definition, verified};
use super::{Key, NameHash, StoreError, Table, Write};

/// What a check found, and what a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Rows that can be read.
    pub sound: u64,
    /// Rows whose checksum is wrong, or whose contents have no meaning.
    pub unreadable: u64,
    /// Of these, rows of the relay's own (`meta`), which are never taken out.
    pub of_meta: u64,
    /// Accounts that do not agree with the rows beside them: prekeys, bundle, names.
    pub disagreeing: u64,
    /// Where a repair put what it took out; `None` where it changed nothing.
    pub aside: Option<PathBuf>,
}

impl Findings {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.unreadable == 0 && self.disagreeing == 0
    }
}

/// A row that was read and is not well: its table, its key, its bytes.
type Bad = (Table, Vec<u8>, Vec<u8>);

impl Embedded {
    /// Reads every row, and with `repair` mends what can be: unreadable rows go to a file in the folder,
    /// accounts are made to agree with what is there.
    ///
    /// # Errors
    /// [`StoreError`]: a relay runs on it, its structure is broken, or the disk fails.
    pub fn examine(folder: &Path, cache: usize, repair: bool) -> Result<Findings, StoreError> {
        let store = Self::open(folder, cache)?;
        let (mut findings, mut bad) = store.with(read_all)?;
        let mends = store.with(|db| disagreements(&db.begin_read()?))?;
        findings.disagreeing = mends.len() as u64;
        bad.retain(|(table, ..)| *table != Table::Meta);
        if !repair || bad.is_empty() && mends.is_empty() {
            return Ok(findings);
        }

        let failed = |error: io::Error| StoreError::Io(error.to_string());
        let before = mends.iter().map(|mend| &mend.before);
        let (path, file) = new_file(folder).map_err(failed)?;
        write_aside(file, bad.iter().chain(before)).map_err(failed)?;
        sync_folder(&path).map_err(failed)?;
        store.with(|db| remove(db, &bad))?;
        // What an unreadable row took with it shows only now.
        let mends = store.with(|db| disagreements(&db.begin_read()?))?;
        let puts = mends.into_iter().map(|mend| mend.after);
        let puts: Vec<_> = puts.collect();
        store.with(|db| apply(db, &puts))?;
        findings.disagreeing = findings.disagreeing.max(puts.len() as u64);
        findings.aside = Some(path);
        Ok(findings)
    }
}

fn read_all(db: &Database) -> Result<(Findings, Vec<Bad>), redb::Error> {
    let (mut findings, mut bad) = (Findings::default(), Vec::new());
    let read = db.begin_read()?;
    for table in Table::ALL {
        for row in read.open_table(definition(table))?.iter()? {
            let (key, row) = row?;
            let (key, row) = (key.value(), row.value());
            if verified(table, key, row).is_ok_and(|row| has_meaning(table, key, row)) {
                findings.sound += 1;
                continue;
            }
            findings.unreadable += 1;
            findings.of_meta += u64::from(table == Table::Meta);
            bad.push((table, key.to_vec(), row.to_vec()));
        }
    }
    Ok((findings, bad))
}

fn has_meaning(table: Table, key: &[u8], row: &[u8]) -> bool {
    let whole_key = match table {
        Table::Meta => true,
        Table::Messages | Table::Acked | Table::Access => key.len() == 8,
        _ => key.len() == Address::LEN,
    };
    whole_key
        && match table {
            Table::Accounts => Account::parse(row).is_ok(),
            Table::Messages => MessageHeader::parse(row).is_ok(),
            Table::Notices => parse_notices(row).is_ok(),
            Table::Acked => parse_acked(row).is_ok(),
            Table::Access => AccessRow::parse(row).is_ok(),
            Table::Prekeys => row.len().is_multiple_of(PREKEY_LEN),
            Table::Contacts => row.len().is_multiple_of(Address::LEN),
            Table::Names => row.len() == Address::LEN,
            Table::Meta | Table::Bundles => true,
        }
}

/// An account that does not agree with the rows beside it.
struct Mend {
    before: Bad,
    after: Write,
}

fn disagreements(read: &ReadTransaction) -> Result<Vec<Mend>, redb::Error> {
    let names = owners(read)?;
    let (bundles, prekeys) = (
        read.open_table(definition(Table::Bundles))?,
        read.open_table(definition(Table::Prekeys))?,
    );
    let mut mends = Vec::new();
    for row in read.open_table(definition(Table::Accounts))?.iter()? {
        let (key, sealed) = row?;
        let (key, sealed) = (key.value(), sealed.value());
        let row = verified(Table::Accounts, key, sealed).unwrap_or_default();
        let (Ok(account), Ok(address)) = (Account::parse(row), key.try_into().map(Address)) else {
            continue;
        };
        let mut right = account.clone();
        let stored = prekeys.get(key)?;
        let stored = stored.and_then(|row| {
            let list = verified(Table::Prekeys, key, row.value()).ok()?;
            u16::try_from(list.len() / PREKEY_LEN).ok()
        });
        right.prekeys = stored.unwrap_or(0);
        let bundle = bundles.get(key)?;
        if bundle.is_none_or(|row| verified(Table::Bundles, key, row.value()).is_err()) {
            // Its owner sees 0 in the welcome and publishes again.
            right.bundle_counter = 0;
        }
        let owned = names.get(&address).map_or(&[][..], Vec::as_slice);
        right.names.retain(|name| owned.contains(name));
        let missing = owned.iter().filter(|name| !account.names.contains(name));
        right.names.extend(missing);
        if right != account {
            mends.push(Mend {
                before: (Table::Accounts, key.to_vec(), sealed.to_vec()),
                after: Write::Put(Key::Account(address), right.emit()),
            });
        }
    }
    Ok(mends)
}

/// The nicknames of each identity, as the names' own rows have it.
fn owners(read: &ReadTransaction) -> Result<HashMap<Address, Vec<NameHash>>, redb::Error> {
    let mut owners: HashMap<_, Vec<_>> = HashMap::new();
    for row in read.open_table(definition(Table::Names))?.iter()? {
        let (key, row) = row?;
        let (key, row) = (key.value(), row.value());
        let owner = verified(Table::Names, key, row).unwrap_or_default();
        if let (Ok(owner), Ok(name)) = (owner.try_into(), key.try_into()) {
            owners
                .entry(Address(owner))
                .or_default()
                .push(NameHash(name));
        }
    }
    Ok(owners)
}

/// A file of its own for each repair, for its owner only.
fn new_file(folder: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut number = 1;
    loop {
        let path = folder.join(format!("set-aside-{number}.jsonl"));
        match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            opened => return Ok((path, opened?)),
        }
    }
}

/// A line for each row: its table, key and bytes, checksum included, in hexadecimal digits.
fn write_aside<'a>(file: File, rows: impl Iterator<Item = &'a Bad>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    for (table, key, row) in rows {
        let line = serde_json::json!({
            "table": table.name(),
            "key": hex::encode(key),
            "row": hex::encode(row),
        });
        writeln!(out, "{line}")?;
    }
    out.into_inner()?.sync_all()
}

fn remove(db: &Database, bad: &[Bad]) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    for (table, key, _) in bad {
        txn.open_table(definition(*table))?.remove(key.as_slice())?;
    }
    Ok(txn.commit()?)
}
