//! A relay's logic, driven by hand.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::{Action, ConnId, PeerLimits, Relay};
use hushwire_relay::request::{Answer, Command, Reply, Request, Submission};
use hushwire_relay::store::{Key, Store, StoreError, Table, Walked, Write};

use super::Open;
use crate::engine;

pub(crate) const ALICE: Address = Address([0xa1; 20]);
pub(crate) const BOB: Address = Address([0xb0; 20]);
pub(crate) const CAROL: Address = Address([0xca; 20]);

pub(crate) const WIDE: PeerLimits = PeerLimits {
    max_record: 32_768,
    max_frame: 17_000,
    window: 64,
};
pub(crate) const NARROW: PeerLimits = PeerLimits {
    max_record: 1_400,
    max_frame: 1_300,
    window: 1,
};

/// The engine's store, which can be told to fail.
pub(crate) struct TestStore {
    open: Open,
    engine: RwLock<Option<Box<dyn Store>>>,
    pub(crate) fails: AtomicBool,
    pub(crate) is_unreadable: AtomicBool,
    /// Bytes of its file, none of them free.
    pub(crate) file: AtomicU64,
    /// How often the free ones were counted.
    pub(crate) counted: AtomicU64,
}

impl TestStore {
    fn new(open: Open) -> Self {
        Self {
            engine: RwLock::new(Some(open())),
            open,
            fails: AtomicBool::default(),
            is_unreadable: AtomicBool::default(),
            file: AtomicU64::default(),
            counted: AtomicU64::default(),
        }
    }

    /// As after a crash of the relay.
    fn open_anew(&self) {
        let mut engine = self.engine.write().unwrap();
        // Two cannot have it open.
        drop(engine.take());
        *engine = Some((self.open)());
    }

    fn with<T>(&self, work: impl FnOnce(&dyn Store) -> T) -> T {
        let engine = self.engine.read().unwrap();
        work(&**engine.as_ref().expect("a store that opens"))
    }
}

impl Store for TestStore {
    fn epoch(&self) -> u64 {
        self.with(Store::epoch)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        if self.is_unreadable.load(Ordering::Relaxed) {
            return Err(StoreError::Io("told to fail".into()));
        }
        self.with(|engine| engine.get(key))
    }

    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError> {
        self.with(|engine| engine.walk(table, from, visit))
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.with(|engine| engine.count(table))
    }

    fn file_bytes(&self) -> u64 {
        self.file.load(Ordering::Relaxed)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StoreError> {
        self.counted.fetch_add(1, Ordering::Relaxed);
        Ok(Some(0))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Io("told to fail".into()));
        }
        self.with(|engine| engine.commit(writes))
    }
}

/// One relay, its store, its clock, and what it said on each connection.
pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) store: Arc<TestStore>,
    pub(crate) now: Now,
    pub(crate) limits: Limits,
    said: HashMap<ConnId, Vec<Answer>>,
    pub(crate) closed: Vec<ConnId>,
    pub(crate) settled: Vec<(u64, bool)>,
    next_conn: u64,
    next_number: u16,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    /// The disk gets everything at once.
    pub(crate) fn with(limits: Limits) -> Self {
        Self::waiting(Limits {
            ack_wait_ms: 0,
            ..limits
        })
    }

    /// The disk gets a message only when its recipient had `ack_wait_ms` to acknowledge it.
    pub(crate) fn waiting(limits: Limits) -> Self {
        Self::on(engine::fresh(), limits)
    }

    /// On a store that may have been another relay's.
    pub(crate) fn on(open: Open, limits: Limits) -> Self {
        let store = Arc::new(TestStore::new(open));
        let now = Now {
            mono_us: 0,
            unix_s: 1_800_000_000,
        };
        let relay = Relay::open(store.clone(), limits.clone(), [7; 32], now).unwrap();
        let (said, closed) = (HashMap::new(), Vec::new());
        Self {
            relay,
            store,
            now,
            limits,
            said,
            closed,
            settled: Vec::new(),
            next_conn: 1,
            next_number: 1,
        }
    }

    /// A crash and a new start on the same store; the machine's clock stands.
    pub(crate) fn restart(&mut self) {
        self.store.open_anew();
        let store: Arc<dyn Store> = self.store.clone();
        self.relay = Relay::open(store, self.limits.clone(), [7; 32], self.now).unwrap();
        self.said.clear();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now.mono_us += seconds * 1_000_000;
        self.now.unix_s += seconds;
    }

    /// Connects; what the relay says first stays to be heard.
    pub(crate) fn log_in(&mut self, address: Address, limits: PeerLimits) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.relay.connected(conn, address, limits, self.now);
        self.act();
        conn
    }

    /// Connects, publishes a bundle, and forgets what was said meanwhile.
    pub(crate) fn register(&mut self, address: Address) -> ConnId {
        let conn = self.log_in(address, WIDE);
        let bundle = address.0.as_slice().into();
        assert_eq!(
            self.order(conn, Command::Publish { counter: 1, bundle }),
            Reply::Done
        );
        self.hear(conn);
        conn
    }

    pub(crate) fn leave(&mut self, conn: ConnId) {
        self.relay.gone(conn);
    }

    /// Asks, without letting the disk work.
    pub(crate) fn ask(&mut self, conn: ConnId, request: Request) {
        self.relay.handle(conn, request, self.now);
        self.act();
    }

    /// Lets the disk work until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10 {
            self.settle_one();
        }
    }

    pub(crate) fn settle_one(&mut self) {
        if let Some(writes) = self.relay.poll_commit() {
            let durable = self.store.commit(&writes).is_ok();
            self.relay.settle(durable);
        }
        self.act();
    }

    /// Asks a numbered request and gives its reply.
    pub(crate) fn order(&mut self, conn: ConnId, command: Command) -> Reply {
        let number = self.next_number;
        self.next_number += 1;
        self.ask(conn, Request::Numbered(number, command));
        self.settle();
        let said = self
            .said
            .get_mut(&conn)
            .expect("the connection was never answered");
        let index = said
            .iter()
            .position(|answer| matches!(answer, Answer::Numbered(n, _) if *n == number));
        match said.remove(index.expect("the request was not answered")) {
            Answer::Numbered(_, reply) => *reply,
            _ => unreachable!(),
        }
    }

    /// Submits, settles, and tells how that ended.
    pub(crate) fn submit(
        &mut self,
        conn: ConnId,
        to: Address,
        envelope: &[u8],
    ) -> Result<(), Reason> {
        let id = EnvelopeId::of(envelope);
        self.ask(conn, submission(to, envelope));
        self.settle();
        let said = self
            .said
            .get_mut(&conn)
            .expect("the connection was never answered");
        let index = said.iter().position(|answer| match answer {
            Answer::Accepted(of) | Answer::Rejected { id: of, .. } => *of == id,
            _ => false,
        });
        match said.remove(index.expect("the submit was not answered")) {
            Answer::Rejected { reason, .. } => Err(reason),
            _ => Ok(()),
        }
    }

    /// Everything that was said on the connection and not heard yet.
    pub(crate) fn hear(&mut self, conn: ConnId) -> Vec<Answer> {
        self.said.remove(&conn).unwrap_or_default()
    }

    /// The envelopes that were delivered on the connection and not heard yet, with their sequences.
    pub(crate) fn deliveries(&mut self, conn: ConnId) -> Vec<(u64, Vec<u8>)> {
        let said = self.said.entry(conn).or_default();
        let (delivered, other) = said
            .drain(..)
            .partition(|answer| matches!(answer, Answer::Deliver(_)));
        *said = other;
        delivered.iter().map(open).collect()
    }

    pub(crate) fn notices(&mut self, conn: ConnId) -> Vec<(NoticeKind, Address, u32)> {
        let heard = self.hear(conn).into_iter();
        heard
            .filter_map(|answer| match answer {
                Answer::Notice { kind, peer, count } => Some((kind, peer, count)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn act(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Send(conn, answer) => self.said.entry(conn).or_default().push(answer),
                Action::Close(conn) => self.closed.push(conn),
                Action::Settled(ticket, durable) => self.settled.push((ticket, durable)),
            }
        }
    }
}

pub(crate) fn submission(to: Address, envelope: &[u8]) -> Request {
    Request::Submit(Submission::new(to, EnvelopeId::of(envelope), envelope))
}

/// Sequence and envelope of a delivery, at the places where the frame has them.
fn open(answer: &Answer) -> (u64, Vec<u8>) {
    let Answer::Deliver(record) = answer else {
        unreachable!()
    };
    (
        u64::from_be_bytes(record[44..52].try_into().unwrap()),
        record[80..].to_vec(),
    )
}

/// `count` one-time prekeys with rising ids.
pub(crate) fn prekeys(count: u32) -> Command {
    let one = |id: u32| [id.to_be_bytes().as_slice(), &[2; 33]].concat();
    Command::Prekeys((1..=count).flat_map(one).collect())
}
