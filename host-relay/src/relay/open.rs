//! From what the store has to a relay that serves.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::HashMap;

use super::access::Access;
use super::acked::Acked;
use super::defer::Deferred;
use super::offers::Offers;
use super::prekey_rates::PrekeyRates;
use super::room::Room;
use super::{CLOCK, Relay};
use crate::clock::{Clock, Now};
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::store::{Store, StoreError, Table, Write, record};
use crate::stored::Stored;
use crate::tally::Tally;

impl Relay {
    /// Reads what the store has. The clock's row is committed before anything else happens.
    /// `names_key` keys the hashes under which nicknames are stored.
    pub fn open(
        store: Arc<dyn Store>,
        limits: Limits,
        names_key: [u8; 32],
        now: Now,
    ) -> Result<Self, StoreError> {
        let clock = Clock::restore(store.get(&CLOCK)?.as_deref(), now, limits.longest_stop)?;
        store.commit(&[Write::Put(CLOCK, clock.row(now).into())])?;

        let room = Room::new(limits.disk_bytes);
        let acked = Acked::new(limits.remembered_acks as usize);
        let mut relay = Self {
            limits,
            ledger: Ledger::new(Arc::clone(&store))?,
            clock,
            names_key,
            keys: Vec::new(),
            mailboxes: HashMap::default(),
            peers: HashMap::default(),
            online: HashMap::default(),
            acked,
            deferred: Deferred::default(),
            access: Access::default(),
            rates: HashMap::default(),
            prekey_rates: PrekeyRates::default(),
            offers: Offers::default(),
            next_arrival: 0,
            last_sequence: 0,
            stored_messages: 0,
            stored_bytes: 0,
            room,
            stopping: false,
            actions: VecDeque::new(),
            tally: Tally::default(),
            tickets: 0,
        };
        relay.load(&*store)?;
        Ok(relay)
    }

    fn load(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let kept_up = store.stored();
        #[cfg(debug_assertions)]
        if let Some(stored) = &kept_up {
            assert!(stored.is_like(&Stored::read(store)?), "{stored:?}");
        }
        let stored = match kept_up {
            Some(stored) => stored,
            None => Stored::read(store)?,
        };
        self.mailboxes = stored.mailboxes;
        self.stored_messages = stored.messages;
        self.stored_bytes = stored.bytes;
        self.last_sequence = stored.last_sequence;
        self.next_arrival = stored.next_arrival;
        self.tally.damaged_rows = stored.damaged;
        self.observe_room();

        let mut unreadable = 0;
        let walked = store.walk(Table::Acked, 0, &mut |number, row| {
            match record::parse_acked(row) {
                Ok(list) => self.acked.load(number, list),
                Err(_) => unreadable += 1,
            }
            ControlFlow::Continue(())
        })?;
        self.acked.loaded(walked.next);
        self.tally.damaged_rows += walked.damaged + unreadable;
        self.tally.damaged_rows += self.access.load(store)?;
        if self.tally.damaged_rows > 0 {
            tracing::error!(
                rows = self.tally.damaged_rows,
                "the store has damaged rows, which are left where they are; the relay goes on \
                 without them. Check the disk, and restore a back-up where mail is missing"
            );
        }
        Ok(())
    }
}
