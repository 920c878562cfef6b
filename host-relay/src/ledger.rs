//! The store as the logic sees it: what is committed, with what is on its way laid over it.
//!
//! Changes gather in one batch while the one before is on its way to the disk; whoever must hear
//! that something is durable is *held* with the batch that makes it so. When a commit fails, the
//! batch behind it fails too, for it was built on what did not happen. Only what nobody is answered for
//! is kept for the next try: deletions of messages, which free the mailbox of what its owner has;
//! notices, which say what became of them; and ids of acknowledged ones.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;

use crate::fresh::Waiting;
use crate::mailbox::Entry;
use crate::relay::{ConnId, Standing};
use crate::request::Answer;
use crate::store::record::Account;
use crate::store::{Key, Store, StoreError, Table, Write};
use crate::tally::FEW_PREKEYS;

/// What waits for a batch to be durable.
#[derive(Debug)]
pub(crate) enum Held {
    /// A message, and with it everyone who waits for its `accepted`.
    Message { to: Address, sequence: u64 },
    /// The notice of a message that its recipient could not open before it was durable, and with it
    /// everyone who waits for its `accepted`.
    Unopened { id: EnvelopeId, waiting: Waiting },
    /// One of two answers.
    Answer {
        conn: ConnId,
        done: Answer,
        failed: Answer,
    },
    /// The clock's ceiling.
    Clock,
    /// Whoever asked when everything before is durable.
    Ticket(u64),
    /// What a connection may, should its registration fail.
    Registration { conn: ConnId, before: Standing },
    /// What an identity that leaves keeps, should that fail.
    Leave { of: Address, mail: Vec<Entry> },
}

impl Held {
    fn bytes(&self) -> usize {
        let beside = match self {
            Self::Answer { done, failed, .. } => done.bytes_beside() + failed.bytes_beside(),
            _ => 0,
        };
        size_of::<Self>() + beside
    }
}

/// Accounts and contact lists that are held ready. A cache is emptied when it is full: no order to
/// keep.
const CACHED_ACCOUNTS: usize = 65_536;
/// Bytes of contact lists that are held ready.
const CACHED_CONTACTS: usize = 32 * 1024 * 1024;
/// Bytes that are kept for the next try; beyond, notices and acknowledged ids are lost. The caller must not
/// be stopped by them.
const KEPT: usize = 16 * 1024 * 1024;

pub(crate) struct Ledger {
    store: Arc<dyn Store>,
    /// Rows on their way, by the number of the batch that brings them.
    overlay: HashMap<Key, OnItsWay>,
    accounts: HashMap<Asked, Option<Arc<Account>>>,
    /// Only rows that are in the store: what is on its way lies over them.
    contacts: HashMap<Asked, Option<Arc<[u8]>>>,
    contacts_bytes: usize,
    registered: u64,
    /// Accounts with few one-time prekeys, of those that were read or written since the start: to
    /// read all of them at the start would make it long.
    low: HashSet<Address>,
    gathering: Batch,
    in_flight: Option<Batch>,
    /// Whether the last commit did.
    works: bool,
}

/// An address that somebody asked for, and nobody proved: whoever asks may choose all of its bytes, and so all of them
/// are hashed. (An address that was proved is a hash that nobody chooses, and is hashed by a part of it.)
#[derive(Clone, Copy, PartialEq, Eq)]
struct Asked(Address);

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0.0);
    }
}

/// A row that is not committed yet; `None` for a deletion.
struct OnItsWay {
    batch: u64,
    /// Where its write stands there.
    place: usize,
    row: Option<Arc<[u8]>>,
}

#[derive(Default)]
struct Batch {
    number: u64,
    writes: Vec<Option<Write>>,
    /// Where each message's put stands, so that an early ack takes it back.
    puts: HashMap<u64, usize>,
    held: Vec<Held>,
    /// Rows of who leaves: if that fails, they stay.
    tied: HashSet<Key>,
    bytes: usize,
    held_bytes: usize,
}

/// What became of a batch.
pub(crate) struct Settled {
    pub(crate) durable: Vec<Held>,
    pub(crate) failed: Vec<Held>,
}

impl Ledger {
    pub(crate) fn new(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let registered = store.count(Table::Accounts)?;
        Ok(Self {
            store,
            overlay: HashMap::default(),
            accounts: HashMap::default(),
            contacts: HashMap::default(),
            contacts_bytes: 0,
            registered,
            low: HashSet::default(),
            gathering: Batch {
                number: 1,
                ..Batch::default()
            },
            in_flight: None,
            works: true,
        })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Registered identities.
    pub(crate) fn registered(&self) -> u64 {
        self.registered
    }

    /// Identities with fewer than [`FEW_PREKEYS`] one-time prekeys, as far as they are known.
    pub(crate) fn low_on_prekeys(&self) -> u64 {
        self.low.len() as u64
    }

    /// Bytes that wait for the disk.
    pub(crate) fn backlog(&self) -> usize {
        self.gathering.bytes
    }

    /// Bytes of what waits for the disk beside the writes: who asks for nothing but answers fills memory too.
    pub(crate) fn held_bytes(&self) -> usize {
        self.gathering.held_bytes
    }

    /// Whether the store took the last commit.
    pub(crate) fn works(&self) -> bool {
        self.works
    }

    /// A batch is on its way.
    pub(crate) fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Nothing waits and nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.gathering.is_empty()
    }

    pub(crate) fn read(&self, key: &Key) -> Result<Option<Arc<[u8]>>, StoreError> {
        match self.overlay.get(key) {
            Some(OnItsWay { row, .. }) => Ok(row.clone()),
            None => Ok(self.store.get(key)?.map(Into::into)),
        }
    }

    pub(crate) fn account(&mut self, of: &Address) -> Result<Option<Arc<Account>>, StoreError> {
        if let Some(account) = self.accounts.get(&Asked(*of)) {
            return Ok(account.clone());
        }
        let row = self.read(&Key::Account(*of))?;
        let account = row
            .map(|row| Account::parse(&row))
            .transpose()?
            .map(Arc::new);
        self.remember(of, account.clone());
        Ok(account)
    }

    /// The sorted addresses of a contact list.
    pub(crate) fn contacts(&mut self, of: &Address) -> Result<Option<Arc<[u8]>>, StoreError> {
        let key = Key::Contacts(*of);
        if !self.overlay.is_empty()
            && let Some(OnItsWay { row, .. }) = self.overlay.get(&key)
        {
            return Ok(row.clone());
        }
        if let Some(row) = self.contacts.get(&Asked(*of)) {
            return Ok(row.clone());
        }
        let row: Option<Arc<[u8]>> = self.store.get(&key)?.map(Into::into);
        let bytes = row.as_ref().map_or(0, |row| row.len());
        if self.contacts.len() >= CACHED_ACCOUNTS || self.contacts_bytes + bytes > CACHED_CONTACTS {
            self.contacts.clear();
            self.contacts_bytes = 0;
        }
        self.contacts_bytes += bytes;
        self.contacts.insert(Asked(*of), row.clone());
        Ok(row)
    }

    pub(crate) fn put_account(&mut self, of: &Address, account: Account) {
        if !matches!(self.accounts.get(&Asked(*of)), Some(Some(_))) {
            self.registered += 1;
        }
        self.put(Key::Account(*of), account.emit());
        self.remember(of, Some(Arc::new(account)));
    }

    pub(crate) fn delete_account(&mut self, of: &Address) {
        self.registered = self.registered.saturating_sub(1);
        self.delete(Key::Account(*of));
        self.remember(of, None);
    }

    fn remember(&mut self, of: &Address, account: Option<Arc<Account>>) {
        if self.accounts.len() >= CACHED_ACCOUNTS {
            self.accounts.clear();
        }
        match &account {
            Some(account) if account.prekeys < FEW_PREKEYS => self.low.insert(*of),
            _ => self.low.remove(of),
        };
        self.accounts.insert(Asked(*of), account);
    }

    pub(crate) fn put(&mut self, key: Key, row: Arc<[u8]>) {
        let before = self.lay_over(key, Some(Arc::clone(&row)));
        self.gathering.write(Write::Put(key, row), before);
    }

    pub(crate) fn delete(&mut self, key: Key) {
        let before = self.lay_over(key, None);
        self.gathering.write(Write::Delete(key), before);
    }

    /// Where the row's last write of this batch stands, if there is one. Messages, acknowledged ids and who may come are
    /// known in memory until they are durable: see `mailbox`.
    fn lay_over(&mut self, key: Key, row: Option<Arc<[u8]>>) -> Option<usize> {
        if let Key::Contacts(of) = &key
            && let Some(Some(row)) = self.contacts.remove(&Asked(*of))
        {
            self.contacts_bytes -= row.len();
        }
        if matches!(key, Key::Message(_) | Key::Acked(_) | Key::Access(_)) {
            return None;
        }
        let batch = self.gathering.number;
        let before = self.overlay.get(&key);
        let before = before
            .filter(|before| before.batch == batch)
            .map(|before| before.place);
        let place = before.unwrap_or(self.gathering.writes.len());
        self.overlay.insert(key, OnItsWay { batch, place, row });
        before
    }

    pub(crate) fn put_message(&mut self, arrival: u64, record: Arc<[u8]>) {
        self.gathering
            .puts
            .insert(arrival, self.gathering.writes.len());
        self.put(Key::Message(arrival), record);
    }

    /// Deletes a message; one that was not yet handed to the disk never gets there.
    pub(crate) fn delete_message(&mut self, arrival: u64) {
        match self.gathering.puts.remove(&arrival) {
            Some(index) => self.gathering.take_back(index),
            None => self.delete(Key::Message(arrival)),
        }
    }

    /// Deletes what belongs to a change that is answered: if that fails, the row stays.
    pub(crate) fn delete_tied(&mut self, key: Key) {
        self.gathering.tied.insert(key);
        self.delete(key);
    }

    /// Keeps `held` until everything put so far is durable.
    pub(crate) fn hold(&mut self, held: Held) {
        self.gathering.held_bytes += held.bytes();
        self.gathering.held.push(held);
    }

    /// Something is to be committed, and nothing is on its way.
    pub(crate) fn is_due(&self) -> bool {
        self.in_flight.is_none() && !self.gathering.is_empty()
    }

    /// The next writes to commit, when none are on their way. `settle` is owed for each.
    pub(crate) fn poll_commit(&mut self) -> Option<Vec<Write>> {
        if self.in_flight.is_some() || self.gathering.is_empty() {
            return None;
        }
        let next = Batch {
            number: self.gathering.number + 1,
            ..Batch::default()
        };
        let mut batch = std::mem::replace(&mut self.gathering, next);
        let writes = std::mem::take(&mut batch.writes);
        // They come again if the commit fails.
        let lasting = writes.iter().flatten().filter(|write| batch.keeps(write));
        batch.writes = lasting.cloned().map(Some).collect();
        self.in_flight = Some(batch);
        Some(writes.into_iter().flatten().collect())
    }

    /// Writes anew what of failed batches has to outlive them: of each row the newest.
    fn keep(&mut self, failed: [&Batch; 2]) {
        let mut rows = HashMap::default();
        // Whichever of the two says so: the second may delete as a stray what the first one's leave had forgotten.
        let is_tied = |key| failed.iter().any(|batch| batch.tied.contains(key));
        // It never got to the disk. Otherwise a disk that fails for hours would leave a deletion for each ack.
        let was_put = |arrival| failed.iter().any(|batch| batch.puts.contains_key(arrival));
        for batch in failed {
            let lasting = batch.writes.iter().flatten();
            let lasting = lasting.filter(|write| batch.keeps(write));
            for write in lasting.filter(|write| !is_tied(write.key())) {
                match write.key() {
                    Key::Message(arrival) if was_put(arrival) => {}
                    Key::Message(_) => self.delete(*write.key()),
                    key => drop(rows.insert(*key, write.clone())),
                }
            }
        }
        let mut lost = 0;
        for write in rows.into_values() {
            match write {
                _ if self.gathering.bytes > KEPT => lost += 1,
                Write::Put(key, row) => self.put(key, row),
                Write::Delete(key) => self.delete(key),
            }
        }
        if lost > 0 {
            tracing::error!(
                rows = lost,
                "notices and acknowledged ids are lost to store trouble"
            );
        }
    }

    /// Takes the outcome of the commit on its way.
    pub(crate) fn settle(&mut self, durable: bool) -> Settled {
        let Some(batch) = self.in_flight.take() else {
            return Settled {
                durable: Vec::new(),
                failed: Vec::new(),
            };
        };
        self.works = durable;
        if durable {
            self.overlay
                .retain(|_, on_its_way| on_its_way.batch > batch.number);
            return Settled {
                durable: batch.held,
                failed: Vec::new(),
            };
        }

        let next = Batch {
            number: self.gathering.number + 1,
            ..Batch::default()
        };
        let behind = std::mem::replace(&mut self.gathering, next);
        self.overlay.clear();
        self.accounts.clear();
        if let Ok(registered) = self.store.count(Table::Accounts) {
            self.registered = registered;
        }
        self.keep([&batch, &behind]);
        Settled {
            durable: Vec::new(),
            failed: batch.held.into_iter().chain(behind.held).collect(),
        }
    }
}

impl Write {
    fn key(&self) -> &Key {
        let (Write::Put(key, _) | Write::Delete(key)) = self;
        key
    }

    fn bytes(&self) -> usize {
        match self {
            Write::Put(_, row) => row.len() + 64,
            Write::Delete(_) => 64,
        }
    }
}

impl Batch {
    /// Whether the write outlives a failed commit.
    fn keeps(&self, write: &Write) -> bool {
        let lasting = match write {
            Write::Delete(Key::Message(_)) => true,
            write => matches!(write.key(), Key::Notices(_) | Key::Acked(_)),
        };
        lasting && !self.tied.contains(write.key())
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.writes.iter().all(Option::is_none)
    }

    /// One that takes the place of an earlier one of the same row, or a new one: what is asked again and again fills
    /// neither memory nor disk.
    fn write(&mut self, write: Write, before: Option<usize>) {
        self.bytes += write.bytes();
        match before.and_then(|place| self.writes.get_mut(place)) {
            Some(slot) => {
                let replaced = slot.replace(write);
                self.bytes -= replaced.map_or(0, |write| write.bytes());
            }
            None => self.writes.push(Some(write)),
        }
    }

    fn take_back(&mut self, index: usize) {
        if let Some(write) = self.writes.get_mut(index).and_then(Option::take) {
            self.bytes -= write.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::store::Embedded;

    /// Whoever asks for addresses that differ in what is not hashed has each look-up go through all of them.
    #[test]
    fn addresses_that_were_chosen_cost_no_more_than_others() {
        const ASKED: u64 = 20_000;
        let spent = |address: fn(u64) -> Address| {
            let disk = || Ok(Box::new(InMemoryBackend::new()) as Box<dyn redb::StorageBackend>);
            let store = Arc::new(Embedded::open_on(1 << 20, disk).unwrap());
            let mut ledger = Ledger::new(store).unwrap();
            let began = std::time::Instant::now();
            for n in 0..ASKED {
                assert!(ledger.account(&address(n)).unwrap().is_none());
                assert!(ledger.contacts(&address(n)).unwrap().is_none());
            }
            began.elapsed()
        };
        let others = spent(|n| {
            let mut address = [7; 20];
            address[..8].copy_from_slice(&n.to_be_bytes());
            Address(address)
        });
        let chosen = spent(|n| {
            let mut address = [7; 20];
            address[12..].copy_from_slice(&n.to_be_bytes());
            Address(address)
        });
        assert!(chosen < 5 * others, "{chosen:?} and {others:?}");
    }

    /// A stranger can have one row written as often as it asks.
    #[test]
    fn of_a_row_a_batch_has_the_last_write_alone() {
        let disk = || Ok(Box::new(InMemoryBackend::new()) as Box<dyn redb::StorageBackend>);
        let store = Arc::new(Embedded::open_on(1 << 20, disk).unwrap());
        let mut ledger = Ledger::new(store).unwrap();
        let (one, other) = (
            Key::Notices(Address([1; 20])),
            Key::Notices(Address([2; 20])),
        );
        let rows: Vec<Arc<[u8]>> = (0..100).map(|n| Arc::from(vec![n; 1_000])).collect();
        ledger.put(other, Arc::clone(&rows[0]));
        for row in &rows {
            ledger.put(one, Arc::clone(row));
        }
        ledger.delete(other);
        assert_eq!(ledger.backlog(), 1_064 + 64);
        let is_last = |write: &Write| match write {
            Write::Put(key, row) => *key == one && row[..] == rows[99][..],
            Write::Delete(key) => *key == other,
        };
        let writes = ledger.poll_commit().unwrap();
        assert!(
            writes.len() == 2 && writes.iter().all(is_last),
            "{writes:?}"
        );

        // What is on its way stands as it is.
        ledger.put(one, Arc::clone(&rows[3]));
        assert_eq!(ledger.read(&one).unwrap().unwrap()[..], rows[3][..]);
        ledger.settle(true);
        assert_eq!(ledger.poll_commit().unwrap().len(), 1);
    }
}
