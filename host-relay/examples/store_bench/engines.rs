//! The candidates behind one small trait.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One mailbox store. Each `put` and `delete` ends in one fsync.
pub(crate) trait Engine {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()>;
    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64>;
    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()>;
}

fn bounds(mailbox: &[u8; 20]) -> ([u8; 28], [u8; 28]) {
    let (mut low, mut high) = ([0x00; 28], [0xff; 28]);
    low[..20].copy_from_slice(mailbox);
    high[..20].copy_from_slice(mailbox);
    (low, high)
}

const TABLE: TableDefinition<'_, &[u8; 28], &[u8]> = TableDefinition::new("messages");

pub(crate) struct Redb(Database);

impl Redb {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Database::create(dir.join("store.redb"))?))
    }
}

impl Engine for Redb {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()> {
        let txn = self.0.begin_write()?;
        {
            let mut table = txn.open_table(TABLE)?;
            for (key, value) in puts {
                table.insert(key, value.as_slice())?;
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64> {
        let (low, high) = bounds(mailbox);
        let table = self.0.begin_read()?.open_table(TABLE)?;
        let mut count = 0;
        for entry in table.range::<&[u8; 28]>(&low..=&high)? {
            count += u64::from(entry?.1.value().len() == 356);
        }
        Ok(count)
    }

    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()> {
        let txn = self.0.begin_write()?;
        {
            let mut table = txn.open_table(TABLE)?;
            for key in keys {
                table.remove(key)?;
            }
        }
        Ok(txn.commit()?)
    }
}

const ARRIVALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("arrivals");

/// redb with messages in order of arrival, so that a commit touches few pages; which of them are a
/// mailbox's is known in memory.
pub(crate) struct RedbArrival {
    db: Database,
    next: u64,
    index: std::collections::BTreeMap<[u8; 28], u64>,
}

impl RedbArrival {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let db = Database::create(dir.join("store.redb"))?;
        Ok(Self {
            db,
            next: 0,
            index: Default::default(),
        })
    }
}

impl Engine for RedbArrival {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()> {
        let txn = self.db.begin_write()?;
        {
            let mut table = txn.open_table(ARRIVALS)?;
            for (key, value) in puts {
                let mut record = [0; 384];
                record[..28].copy_from_slice(key);
                record[28..].copy_from_slice(value);
                table.insert(self.next, record.as_slice())?;
                self.index.insert(*key, self.next);
                self.next += 1;
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64> {
        let (low, high) = bounds(mailbox);
        let table = self.db.begin_read()?.open_table(ARRIVALS)?;
        let mut count = 0;
        for arrival in self.index.range(low..=high).map(|(_, arrival)| *arrival) {
            let record = table.get(arrival)?;
            count += u64::from(record.is_some_and(|r| r.value().len() == 384));
        }
        Ok(count)
    }

    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()> {
        let txn = self.db.begin_write()?;
        {
            let mut table = txn.open_table(ARRIVALS)?;
            for key in keys {
                if let Some(arrival) = self.index.remove(key) {
                    table.remove(arrival)?;
                }
            }
        }
        Ok(txn.commit()?)
    }
}

pub(crate) struct Fjall(fjall::Database, fjall::Keyspace);

impl Fjall {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let db = fjall::Database::builder(dir).open()?;
        let keyspace = db.keyspace("messages", fjall::KeyspaceCreateOptions::default)?;
        Ok(Self(db, keyspace))
    }
}

impl Engine for Fjall {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()> {
        let mut batch = self
            .0
            .batch()
            .durability(Some(fjall::PersistMode::SyncData));
        for (key, value) in puts {
            batch.insert(&self.1, key, value);
        }
        Ok(batch.commit()?)
    }

    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64> {
        let mut count = 0;
        for entry in self.1.prefix(mailbox) {
            count += u64::from(entry.value()?.len() == 356);
        }
        Ok(count)
    }

    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()> {
        let mut batch = self
            .0
            .batch()
            .durability(Some(fjall::PersistMode::SyncData));
        for key in keys {
            batch.remove(&self.1, key);
        }
        Ok(batch.commit()?)
    }
}

pub(crate) struct Sqlite(rusqlite::Connection);

impl Sqlite {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let db = rusqlite::Connection::open(dir.join("store.sqlite"))?;
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;
             CREATE TABLE messages (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;",
        )?;
        Ok(Self(db))
    }
}

impl Engine for Sqlite {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()> {
        let txn = self.0.transaction()?;
        {
            let mut insert = txn.prepare_cached("INSERT INTO messages VALUES (?, ?)")?;
            for (key, value) in puts {
                insert.execute((key.as_slice(), value.as_slice()))?;
            }
        }
        Ok(txn.commit()?)
    }

    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64> {
        let (low, high) = bounds(mailbox);
        let mut select = self
            .0
            .prepare_cached("SELECT value FROM messages WHERE key BETWEEN ? AND ?")?;
        let mut rows = select.query((low.as_slice(), high.as_slice()))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += u64::from(row.get_ref(0)?.as_blob()?.len() == 356);
        }
        Ok(count)
    }

    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()> {
        let txn = self.0.transaction()?;
        {
            let mut delete = txn.prepare_cached("DELETE FROM messages WHERE key = ?")?;
            for key in keys {
                delete.execute([key.as_slice()])?;
            }
        }
        Ok(txn.commit()?)
    }
}

/// A bare append-only log with an index in memory: no engine at all, what the disk itself allows.
pub(crate) struct Log {
    file: File,
    end: u64,
    index: std::collections::BTreeMap<[u8; 28], u64>,
    buffer: Vec<u8>,
}

impl Log {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("store.log");
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .append(true)
            .open(path)?;
        Ok(Self {
            file,
            end: 0,
            index: Default::default(),
            buffer: Vec::new(),
        })
    }

    fn append(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer)?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(self.file.sync_data()?)
    }
}

impl Engine for Log {
    fn put(&mut self, puts: &[([u8; 28], [u8; 356])]) -> Result<()> {
        for (key, value) in puts {
            self.index
                .insert(*key, self.end + self.buffer.len() as u64 + 28);
            self.buffer.extend_from_slice(key);
            self.buffer.extend_from_slice(value);
        }
        self.append()
    }

    fn read(&mut self, mailbox: &[u8; 20]) -> Result<u64> {
        let (low, high) = bounds(mailbox);
        let mut count = 0;
        let mut value = [0; 356];
        for offset in self.index.range(low..=high).map(|(_, offset)| *offset) {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.read_exact(&mut value)?;
            count += 1;
        }
        Ok(count)
    }

    fn delete(&mut self, keys: &[[u8; 28]]) -> Result<()> {
        for key in keys {
            self.index.remove(key);
            self.buffer.extend_from_slice(key);
        }
        self.append()
    }
}
