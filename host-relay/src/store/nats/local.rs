//! The node's own copy of the store, and its outbox of one batch.
//!
//! A batch is first written to the outbox, with fsync, while it travels to the cluster; when the
//! cluster has it, its rows are applied without another fsync. The next batch's fsync makes them
//! durable, and until then the outbox has them: one fsync a batch. Where the file is opened anew in between,
//! after an I/O error, they are applied again before anybody reads or writes.
//!
//! Where the servers are known to sync always the outbox is passed over most of the time, and so are its fsyncs:
//! what a crash takes from the copy is in the journal.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition, TableError};

use super::apply::{apply, put_rows};
use super::entry;
use super::kept_up::KeptUp;
use super::owed::Owed;
use crate::store::embedded::initialise;
use crate::store::rows::{definition, verified};
use crate::store::{Embedded, Key, Store as _, StoreError, Table, Walked};
use crate::stored::Stored;

/// What only this node knows: no table of the store, so neither back-ups nor snapshots have it.
pub(super) const STATE: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("cluster");
const NODE: &str = "node";
pub(super) const MARK: &str = "mark";
const OUTBOX: &str = "outbox";
/// The number of the batch in the outbox, and of the one that it follows. Relays that did not write it
/// have left an outbox without: it is not known then.
const FOLLOWS: &str = "outbox-follows";
const FILLING: &str = "filling";

/// How far a copy has come: the last batch in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) epoch: u64,
    pub(super) term: u64,
    pub(super) number: u64,
    /// The stream's sequence of the batch's last part.
    pub(super) sequence: u64,
}

/// The batch that was on its way to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) term: u64,
    pub(super) number: u64,
    /// The number of the last batch before it that the cluster acknowledged; those in between were
    /// reported as failed. `None`: not known.
    pub(super) follows: Option<u64>,
    pub(super) body: Arc<[u8]>,
}

impl Outgoing {
    /// Whether it is what the same relay did next: else it was done, or somebody else's came first.
    pub(super) fn is_behind(&self, mark: &Mark) -> bool {
        self.term == mark.term && self.number > mark.number
    }

    /// Whether batch `number` of the same relay and term had been reported as failed when this one was sent.
    pub(super) fn gave_up(&self, number: u64) -> bool {
        self.follows
            .is_some_and(|follows| follows < number && number < self.number)
    }
}

/// What a copy that is filled anew is to the cluster's store, which has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Former {
    /// An earlier state of it: nothing in it is missed.
    Older,
    /// That, or a history that ended before the journal begins: nobody can tell.
    PerhapsOlder,
    /// Another history, or another store.
    Other,
}

/// What [`Local::bodies`] has gone through.
pub(super) struct Copied {
    /// How far it is.
    pub(super) mark: Option<Mark>,
    /// Rows that are not what was written.
    pub(super) damaged: u64,
}

pub(super) struct Local {
    /// Whoever commits to it goes past the outbox.
    store: Arc<Embedded>,
    folder: PathBuf,
    owed: Arc<Owed>,
    kept_up: KeptUp,
    /// Whoever writes batches or syncs them has it.
    turn: Mutex<()>,
}

impl Local {
    pub(super) fn open(folder: PathBuf, cache: usize) -> Result<Self, StoreError> {
        Ok(Self::over(Embedded::open(&folder, cache)?, folder))
    }

    fn over(store: Embedded, folder: PathBuf) -> Self {
        let owed = Arc::<Owed>::default();
        let (again, kept_up) = (Arc::clone(&owed), KeptUp::default());
        let opened = kept_up.opened_anew();
        let store = store.opened_anew(move |db| {
            opened();
            again.apply_again(db)
        });
        Self {
            store: Arc::new(store),
            folder,
            owed,
            kept_up,
            turn: Mutex::default(),
        }
    }

    /// The copy itself, to back it up.
    pub(super) fn to_back_up(&self) -> Arc<Embedded> {
        Arc::clone(&self.store)
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    pub(super) fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError> {
        self.store.walk(table, from, visit)
    }

    pub(super) fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.store.count(table)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.store.file_bytes()
    }

    pub(super) fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.store.free_bytes()
    }

    /// The store's epoch: the cluster's, when this copy has caught up.
    pub(super) fn epoch(&self) -> Result<u64, StoreError> {
        initialise(&*self.store.database()?)
    }

    /// A random name of this folder.
    pub(super) fn node(&self) -> Result<u64, StoreError> {
        if let Some(node) = self.state(NODE)?.and_then(|bytes| bytes.try_into().ok()) {
            return Ok(u64::from_be_bytes(node));
        }
        let mut node = [0; 8];
        getrandom::fill(&mut node).map_err(|error| StoreError::Io(error.to_string()))?;
        self.store.with(|db| {
            let txn = db.begin_write()?;
            txn.open_table(STATE)?.insert(NODE, node.as_slice())?;
            Ok(txn.commit()?)
        })?;
        Ok(u64::from_be_bytes(node))
    }

    pub(super) fn mark(&self) -> Result<Option<Mark>, StoreError> {
        Ok(self.state(MARK)?.and_then(|bytes| Mark::parse(&bytes)))
    }

    pub(super) fn outgoing(&self) -> Result<Option<Outgoing>, StoreError> {
        let follows = self.state(FOLLOWS)?;
        Ok(self.state(OUTBOX)?.and_then(|bytes| {
            let (term, rest) = bytes.split_first_chunk()?;
            let (number, body) = rest.split_first_chunk()?;
            let follows = follows.and_then(|bytes| Some(*bytes.strip_prefix(number)?.as_array()?));
            Some(Outgoing {
                term: u64::from_be_bytes(*term),
                number: u64::from_be_bytes(*number),
                follows: follows.map(u64::from_be_bytes),
                body: body.into(),
            })
        }))
    }

    fn state(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.with(|db| {
            let table = match db.begin_read()?.open_table(STATE) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        })
    }

    /// Durable when it returns: the batch outlives a power cut, wherever else it is.
    pub(super) fn send(&self, outgoing: &Outgoing) -> Result<(), StoreError> {
        let mut row = Vec::with_capacity(16 + outgoing.body.len());
        row.extend(outgoing.term.to_be_bytes());
        row.extend(outgoing.number.to_be_bytes());
        row.extend_from_slice(&outgoing.body);
        let follows = match outgoing.follows {
            Some(follows) => [outgoing.number, follows].map(u64::to_be_bytes).concat(),
            None => Vec::new(),
        };
        self.store.with(|db| {
            let txn = db.begin_write()?;
            {
                let mut state = txn.open_table(STATE)?;
                state.insert(OUTBOX, row.as_slice())?;
                state.insert(FOLLOWS, follows.as_slice())?;
            }
            Ok(txn.commit()?)
        })
    }

    /// Whether the next batch is to take an fsync, in the outbox.
    pub(super) fn owes_an_fsync(&self) -> bool {
        self.owed.is_due()
    }

    /// The cluster has the batch, and the outbox too where it was `kept`: it needs no fsync. Where the copy does not
    /// take it, reads find it all the same.
    pub(super) fn sent(&self, body: Arc<[u8]>, mark: Mark, kept: bool) -> Result<(), StoreError> {
        let _turn = self.turn();
        if kept {
            // The outbox's fsync was that of all before it, too.
            self.owed.paid();
        }
        self.owed.push(mark, Arc::clone(&body));
        let applied = self.kept_up.follow(&self.store, |db, stored| {
            apply(db, &body, mark, Durability::None, stored)
        });
        if applied.is_err() {
            self.owed.failed();
            // What is open may be from before this batch, and stay so.
            self.store.open_anew();
        }
        applied
    }

    /// Applies a batch of the journal, or of the outbox, durably.
    pub(super) fn apply(&self, body: &[u8], mark: Mark) -> Result<(), StoreError> {
        let _turn = self.turn();
        // None of those before may come back over it.
        self.pay()?;
        self.kept_up.follow(&self.store, |db, stored| {
            apply(db, body, mark, Durability::Immediate, stored)
        })
    }

    /// Reads what waits; from then on it is kept up, until it is taken.
    pub(super) fn read_stored(&self) -> Result<(), StoreError> {
        self.kept_up.read(&self.store)
    }

    /// What waits, if it could be kept up.
    pub(super) fn take_stored(&self) -> Option<Stored> {
        self.kept_up.take()
    }

    /// Nothing is owed to the disk when it returns.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let _turn = self.turn();
        self.pay()
    }

    fn pay(&self) -> Result<(), StoreError> {
        if !self.owed.is_nothing() {
            self.store.with(|db| Ok(db.begin_write()?.commit()?))?;
            self.owed.paid();
        }
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without fsync: the next [`Self::apply`] makes it durable.
    pub(super) fn apply_later(&self, body: &[u8], mark: Mark) -> Result<(), StoreError> {
        self.kept_up.follow(&self.store, |db, stored| {
            apply(db, body, mark, Durability::None, stored)
        })
    }

    /// Whether there is anything in it that somebody wrote.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        self.store.with(|db| {
            let read = db.begin_read()?;
            for table in Table::ALL {
                if table != Table::Meta && !read.open_table(definition(table))?.is_empty()? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Whether it is being filled from the cluster, and has not all yet.
    pub(super) fn is_half_filled(&self) -> Result<bool, StoreError> {
        Ok(self.state(FILLING)?.is_some())
    }

    /// It has all of the cluster's store now.
    pub(super) fn filled(&self) -> Result<(), StoreError> {
        if !self.is_half_filled()? {
            return Ok(());
        }
        self.store.with(|db| {
            let txn = db.begin_write()?;
            txn.open_table(STATE)?.remove(FILLING)?;
            Ok(txn.commit()?)
        })
    }

    /// Makes the copy empty, to be filled from the cluster. What was in it, and may not be the cluster's, is
    /// kept in a file beside it.
    pub(super) fn clear(&self, former: Former) -> Result<(), StoreError> {
        if !self.is_half_filled()? && !self.is_empty()? {
            self.part_with(former)?;
        }
        self.kept_up.follow(&self.store, |db, stored| {
            let txn = db.begin_write()?;
            for table in Table::ALL {
                txn.delete_table(definition(table))?;
                txn.open_table(definition(table))?;
            }
            {
                let mut state = txn.open_table(STATE)?;
                state.remove(MARK)?;
                state.remove(OUTBOX)?;
                state.insert(FILLING, [].as_slice())?;
            }
            if let Some(stored) = stored {
                *stored = Stored::default();
            }
            Ok(txn.commit()?)
        })
    }

    fn part_with(&self, former: Former) -> Result<(), StoreError> {
        if former == Former::Older {
            tracing::info!("this relay's copy is older than the journal; it is filled anew");
            return Ok(());
        }
        let mut number = 0;
        let aside = loop {
            let file = self.folder.join(format!("set-aside-{number}.redb"));
            if !file.exists() {
                break file;
            }
            number += 1;
        };
        self.store.copy_to(&aside)?;
        let file = aside.display();
        match former {
            Former::Other => tracing::error!(%file,
                "this relay's copy is not the cluster's; it was set aside, and is filled anew"),
            _ => tracing::warn!(%file,
                "this relay's copy is older than the journal, and had another owner; it was set aside, and is filled anew"),
        }
        Ok(())
    }

    /// Puts rows of a snapshot in.
    pub(super) fn fill(&self, body: &[u8]) -> Result<(), StoreError> {
        self.kept_up.follow(&self.store, |db, stored| {
            let mut txn = db.begin_write()?;
            txn.set_durability(Durability::None)?;
            put_rows(&txn, body, stored)?;
            Ok(txn.commit()?)
        })
    }

    /// Every row as it is at one moment, in bodies of about `size` bytes. Damaged ones are left out and
    /// counted.
    pub(super) fn bodies(
        &self,
        size: usize,
        take: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Copied, StoreError> {
        let mut taken = Ok(());
        let long = self.store.let_go.begin();
        let copied = self.store.with(|db| {
            let read = db.begin_read()?;
            let mark = match read.open_table(STATE) {
                Err(TableError::TableDoesNotExist(_)) => None,
                other => other?.get(MARK)?.and_then(|mark| Mark::parse(mark.value())),
            };
            let (mut body, mut damaged) = (Vec::new(), 0);
            for table in Table::ALL {
                for row in redb::ReadableTable::iter(&read.open_table(definition(table))?)? {
                    long.goes_on()?;
                    let (key, value) = row?;
                    let Ok(value) = verified(table, key.value(), value.value()) else {
                        damaged += 1;
                        continue;
                    };
                    entry::push_row(&mut body, table, key.value(), Some(value));
                    if body.len() >= size {
                        taken = take(std::mem::take(&mut body));
                        if taken.is_err() {
                            return Ok(Copied { mark, damaged });
                        }
                    }
                }
            }
            if !body.is_empty() {
                taken = take(body);
            }
            Ok(Copied { mark, damaged })
        })?;
        taken.map(|()| copied)
    }
}

impl Mark {
    const LEN: usize = 32;

    pub(super) fn emit(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let fields = [self.epoch, self.term, self.number, self.sequence];
        for (field, room) in fields.into_iter().zip(out.chunks_exact_mut(8)) {
            room.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let mut fields = bytes
            .chunks_exact(8)
            .map(|field| field.try_into().map(u64::from_be_bytes));
        let mut next = || fields.next()?.ok();
        Some(Self {
            epoch: next()?,
            term: next()?,
            number: next()?,
            sequence: next()?,
        })
    }
}

#[cfg(test)]
mod tests;
