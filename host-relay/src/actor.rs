//! The logic's task and the disk's thread.
//!
//! One task owns the logic: it drains what all connections ask, hands the changes to the writer as
//! one batch, and goes on while the disk works; what comes in meanwhile is the next batch. So one
//! fsync serves everyone who waits, and the busier the relay, the larger the groups.
//!
//! A task beside the connections', and no thread of its own: a message meets the logic twice, and
//! each time a thread would have to be woken and to go to sleep again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use hushwire_core::identity::Address;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant as TokioInstant, MissedTickBehavior, sleep};

use crate::clock::Now;
use crate::metrics::Metrics;
use crate::operator::{self, Ask};
use crate::outbox::{Capacity, Outbox};
use crate::relay::{Action, ConnId, PeerLimits, Relay};
use crate::request::{Answer, Request};
use crate::spare;
use crate::store::{Store, StoreError, Write};

/// What connections tell the logic.
pub(crate) enum Input {
    /// The handshake is done.
    Connected {
        conn: ConnId,
        address: Address,
        limits: PeerLimits,
        outbox: Arc<Outbox>,
    },
    /// The requests of one read, in order.
    Requests(ConnId, Vec<Request>),
    /// The frames of one read, where another relay has the store (`nodes`).
    #[cfg_attr(
        not(feature = "cluster"),
        allow(dead_code, reason = "without a cluster this relay has the store")
    )]
    Asked(ConnId, Vec<u8>),
    /// The connection is no more.
    Gone(ConnId),
    /// The operator asks.
    Admin(Ask, Reply),
}

/// Inputs that may wait; connections read no further meanwhile.
pub(crate) const INPUTS: usize = 1024;
/// Inputs that are handled between two looks at the disk.
const INPUTS_AT_ONCE: usize = 256;
/// After an order to stop connections are read for so long still: what clients had sent before they were told is
/// answered, too.
const LAST_CALL: Duration = Duration::from_millis(100);
/// Bytes that may gather for the next commit before the logic takes no more.
const MAX_BACKLOG: usize = 64 * 1024 * 1024;

/// The logic and what it is connected by.
struct Parts {
    actor: Actor,
    inputs_in: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
    writes_out: mpsc::UnboundedReceiver<Vec<Write>>,
    results: mpsc::UnboundedSender<Result<(), StoreError>>,
    committed: mpsc::UnboundedReceiver<Result<(), StoreError>>,
}

fn assemble(relay: Relay, metrics: Arc<Metrics>, clock: HostClock, capacity: Capacity) -> Parts {
    let (inputs_in, inputs) = mpsc::channel(INPUTS);
    // The logic has at most one batch on its way.
    let (writes, writes_out) = mpsc::unbounded_channel();
    let (results, committed) = mpsc::unbounded_channel();
    let actor = Actor {
        relay,
        max_backlog: MAX_BACKLOG,
        outboxes: HashMap::default(),
        answered: Vec::new(),
        capacity,
        writes,
        clock,
        metrics,
        operators: HashMap::default(),
    };
    Parts {
        actor,
        inputs_in,
        inputs,
        writes_out,
        results,
        committed,
    }
}

/// Starts the task and the thread. They end when every sender of inputs is dropped.
pub(crate) fn spawn(
    relay: Relay,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: HostClock,
    capacity: Capacity,
    stop: watch::Receiver<bool>,
) -> (mpsc::Sender<Input>, JoinHandle<()>) {
    let seen = Arc::clone(&metrics);
    let Parts {
        actor,
        inputs_in,
        inputs,
        writes_out,
        results,
        committed,
    } = assemble(relay, metrics, clock, capacity);
    let writer = thread::spawn(move || write(&*store, writes_out, &results, &seen));
    let logic = tokio::spawn(async move {
        // Its end closes the channel of writes, and with it the writer.
        actor.run(inputs, committed, stop).await;
        let _ = spawn_blocking(move || writer.join()).await;
    });
    (inputs_in, logic)
}

/// The same as two tasks, under a clock that stands still while they work. A batch is durable
/// `latency` after it was handed over.
#[cfg(feature = "simulation")]
pub(crate) fn spawn_tasks(
    relay: Relay,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    clock: HostClock,
    capacity: Capacity,
    stop: watch::Receiver<bool>,
    latency: Duration,
) -> mpsc::Sender<Input> {
    let Parts {
        actor,
        inputs_in,
        inputs,
        mut writes_out,
        results,
        committed,
    } = assemble(relay, metrics, clock, capacity);
    tokio::spawn(async move {
        while let Some(writes) = writes_out.recv().await {
            sleep(latency).await;
            if results.send(store.commit(&writes)).is_err() {
                return;
            }
        }
    });
    tokio::spawn(actor.run(inputs, committed, stop));
    inputs_in
}

/// Whether what was under way when the relay was told to stop may still be on its way.
fn is_last_call(stopping: Option<TokioInstant>) -> bool {
    stopping.is_some_and(|since| since.elapsed() < LAST_CALL)
}

/// Answers to one connection, gathered so that its task is woken once for all of them.
struct Answers {
    gathered: VecDeque<Answer>,
    outbox: Arc<Outbox>,
}

struct Actor {
    relay: Relay,
    max_backlog: usize,
    outboxes: HashMap<ConnId, Answers>,
    /// Connections for which answers were gathered.
    answered: Vec<ConnId>,
    /// Of each outbox.
    capacity: Capacity,
    writes: mpsc::UnboundedSender<Vec<Write>>,
    clock: HostClock,
    metrics: Arc<Metrics>,
    /// Operators whose answers wait for the disk, by the ticket of the wait.
    operators: HashMap<u64, Waiting>,
}

/// An operator, and what it will be told.
type Waiting = (Reply, Vec<serde_json::Value>);
type Reply = oneshot::Sender<Vec<serde_json::Value>>;

impl Actor {
    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut committed: mpsc::UnboundedReceiver<Result<(), StoreError>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(INPUTS_AT_ONCE);
        // Since then nothing is taken any more.
        let mut stopping: Option<TokioInstant> = None;
        // Runs only while something waits for its recipient's ack.
        let overdue = sleep(Duration::ZERO);
        tokio::pin!(overdue);
        let mut armed = false;

        loop {
            if !armed && let Some(due_us) = self.relay.next_overdue_us() {
                let wait = due_us.saturating_sub(self.clock.now().mono_us);
                overdue
                    .as_mut()
                    .reset(TokioInstant::now() + Duration::from_micros(wait));
                armed = true;
            }
            let room = self.relay.backlog() < self.max_backlog;
            tokio::select! {
                biased;
                result = committed.recv() => match result {
                    Some(result) => self.settle(result),
                    // The disk's thread is no more: nothing can be accepted, and whoever waits for this
                    // end starts the relay again.
                    None => return,
                },
                _ = stop.changed(), if stopping.is_none() => {
                    stopping = Some(TokioInstant::now());
                    self.relay.stop();
                }
                () = sleep(LAST_CALL), if is_last_call(stopping) => {}
                // Before the inputs: those of a busy relay never end.
                _ = tick.tick() => {
                    self.relay.tick(self.clock.now());
                    self.metrics.observe(&self.relay.tally());
                    self.metrics.queued(inputs.len());
                }
                count = inputs.recv_many(&mut batch, INPUTS_AT_ONCE), if room => {
                    if count == 0 {
                        break;
                    }
                    let now = self.clock.now();
                    batch.drain(..).for_each(|input| self.take(input, now));
                    self.relay.store_overdue(now);
                }
                () = &mut overdue, if armed => {
                    armed = false;
                    self.relay.store_overdue(self.clock.now());
                }
            }
            self.commit();
            self.act();
            if stopping.is_some() && !is_last_call(stopping) && self.relay.is_idle() {
                self.relay.close_all();
                self.act();
            }
        }

        // Every connection is gone. What they asked last is made durable all the same.
        self.relay.stop();
        self.commit();
        while !self.relay.is_idle() {
            let Some(result) = committed.recv().await else {
                break;
            };
            let failed = result.is_err();
            self.settle(result);
            if failed {
                break;
            }
            self.commit();
        }
    }

    fn take(&mut self, input: Input, now: Now) {
        match input {
            Input::Connected {
                conn,
                address,
                limits,
                outbox,
            } => {
                let gathered = VecDeque::new();
                self.outboxes.insert(conn, Answers { gathered, outbox });
                self.relay.connected(conn, address, limits, now);
            }
            Input::Requests(conn, mut requests) => {
                for request in requests.drain(..) {
                    self.relay.handle(conn, request, now);
                }
                spare::give_back(requests);
            }
            // Only a relay without a store is asked by frames.
            Input::Asked(..) => {}
            Input::Gone(conn) => {
                self.relay.gone(conn);
                self.outboxes.remove(&conn);
            }
            Input::Admin(ask, reply) => {
                let changes = ask.changes();
                let lines = operator::handle(&mut self.relay, ask, now);
                if changes {
                    let ticket = self.relay.when_durable();
                    self.operators.insert(ticket, (reply, lines));
                } else {
                    // Who asked may have left.
                    let _ = reply.send(lines);
                }
            }
        }
    }

    fn settle(&mut self, result: Result<(), StoreError>) {
        self.relay.settle(result.is_ok());
        self.metrics.store_works(result.is_ok());
    }

    fn commit(&mut self) {
        if let Some(writes) = self.relay.poll_commit() {
            // The writer lives as long as this sender, and has at most this batch.
            let _ = self.writes.send(writes);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Send(conn, answer) => {
                    if let Some(answers) = self.outboxes.get_mut(&conn) {
                        if answers.gathered.is_empty() {
                            self.answered.push(conn);
                            answers.gathered = spare::lend();
                        }
                        answers.gathered.push_back(answer);
                    }
                }
                Action::Close(conn) => {
                    if let Some(Answers {
                        mut gathered,
                        outbox,
                    }) = self.outboxes.remove(&conn)
                    {
                        outbox.append(&mut gathered, self.capacity);
                        outbox.close();
                    }
                }
                Action::Settled(ticket, durable) => {
                    if let Some((reply, lines)) = self.operators.remove(&ticket) {
                        let _ = reply.send(match durable {
                            true => lines,
                            false => operator::not_durable(),
                        });
                    }
                }
            }
        }
        for conn in self.answered.drain(..) {
            if let Some(Answers { gathered, outbox }) = self.outboxes.get_mut(&conn) {
                outbox.append(gathered, self.capacity);
            }
        }
    }
}

/// The disk's thread: one batch, one fsync, one result.
fn write(
    store: &dyn Store,
    mut batches: mpsc::UnboundedReceiver<Vec<Write>>,
    results: &mpsc::UnboundedSender<Result<(), StoreError>>,
    metrics: &Metrics,
) {
    let mut works = true;
    while let Some(writes) = batches.blocking_recv() {
        let began = Instant::now();
        let result = store.commit(&writes);
        metrics.committed(writes.len(), began.elapsed());
        match &result {
            Ok(()) if !works => tracing::info!("the store takes writes again"),
            Err(error) if works => {
                tracing::error!(%error, "the store takes no writes; senders are told to retry");
            }
            _ => {}
        }
        works = result.is_ok();
        if !works {
            // Failing batches follow one another at once: leave the disk a moment.
            thread::sleep(Duration::from_millis(100));
        }
        if results.send(result).is_err() {
            return;
        }
    }
}

/// The machine's clocks, or a simulation's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    started: tokio::time::Instant,
    /// Seconds since 1970 at the start, where the machine's own clock does not count.
    simulated_unix_s: Option<u64>,
}

impl HostClock {
    pub(crate) fn start() -> Self {
        Self {
            started: tokio::time::Instant::now(),
            simulated_unix_s: None,
        }
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn simulated(unix_s: u64) -> Self {
        Self {
            simulated_unix_s: Some(unix_s),
            ..Self::start()
        }
    }

    pub(crate) fn now(self) -> Now {
        let elapsed = self.started.elapsed();
        let unix = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        };
        Now {
            mono_us: elapsed.as_micros() as u64,
            unix_s: match self.simulated_unix_s {
                Some(started_s) => started_s + elapsed.as_secs(),
                None => unix().as_secs(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::wire::EnvelopeId;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::limits::Limits;
    use crate::request::{Command, Submission};
    use crate::store::Embedded;

    /// Senders are faster than the disk: they wait, and memory is not filled with what they send.
    #[tokio::test(start_paused = true)]
    async fn who_asks_waits_while_the_disk_is_behind() {
        const ASKED: usize = 900;
        let disk = || Ok(Box::new(InMemoryBackend::new()) as Box<dyn redb::StorageBackend>);
        let store: Arc<dyn Store> = Arc::new(Embedded::open_on(1 << 20, disk).unwrap());
        let clock = HostClock::start();
        let limits = Limits {
            mailbox_messages: 10_000,
            mailbox_bytes: 1 << 30,
            sender_share: 1,
            submit_burst: 10_000,
            request_burst: 10_000,
            ..Limits::default()
        };
        let relay = Relay::open(Arc::clone(&store), limits.clone(), [0; 32], clock.now()).unwrap();
        let mut parts = assemble(
            relay,
            Arc::new(Metrics::new().unwrap()),
            clock,
            Capacity::of(&limits),
        );
        parts.actor.max_backlog = 100_000;
        let (_stop, stopping) = watch::channel(false);
        tokio::spawn(parts.actor.run(parts.inputs, parts.committed, stopping));

        let inputs = parts.inputs_in;
        let (alice, address) = (ConnId(1), Address([1; 20]));
        let connected = Input::Connected {
            conn: alice,
            address,
            limits: PeerLimits {
                max_record: 32_768,
                max_frame: 17_000,
                window: 64,
            },
            outbox: Arc::default(),
        };
        inputs.try_send(connected).unwrap();
        let bundle = Arc::from([1; 20]);
        let publish = Request::Numbered(1, Command::Publish { counter: 1, bundle });
        inputs
            .try_send(Input::Requests(alice, vec![publish]))
            .unwrap();
        let mut commit = async || {
            let writes = parts.writes_out.recv().await.unwrap();
            parts.results.send(store.commit(&writes)).unwrap();
        };
        commit().await;

        // To herself: hers is the one mailbox that there is.
        for n in 0..ASKED {
            let envelope = [&(n as u32).to_be_bytes()[..], &[7; 1000]].concat();
            let submit = Submission::new(address, EnvelopeId::of(&envelope), &envelope);
            let asked = Input::Requests(alice, vec![Request::Submit(submit)]);
            inputs.try_send(asked).unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        let waiting = INPUTS - inputs.capacity();
        assert!(waiting > 0, "all of it was taken in");
        while inputs.capacity() < INPUTS {
            commit().await;
        }
        // Nobody hears what is asked while a commit is under way before that is durable: it waits as well.
        for n in 0..ASKED {
            let fetch = Request::Numbered(n as u16, Command::Fetch(address));
            let asked = Input::Requests(alice, vec![fetch]);
            inputs.try_send(asked).unwrap();
        }
        sleep(Duration::from_secs(5)).await;
        let waiting = INPUTS - inputs.capacity();
        assert!(waiting > 0, "all answers are kept");
        while inputs.capacity() < INPUTS {
            commit().await;
        }
    }

    /// What happens once a second happens however much is asked.
    #[tokio::test(start_paused = true)]
    async fn a_busy_relay_looks_at_its_clock() {
        let disk = || Ok(Box::new(InMemoryBackend::new()) as Box<dyn redb::StorageBackend>);
        let store = Arc::new(Embedded::open_on(1 << 20, disk).unwrap());
        let clock = HostClock::start();
        let relay = Relay::open(store, Limits::default(), [0; 32], clock.now()).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let parts = assemble(relay, Arc::clone(&metrics), clock, Capacity::UNBOUNDED);
        for conn in 0..INPUTS as u64 {
            parts.inputs_in.try_send(Input::Gone(ConnId(conn))).unwrap();
        }
        let (_stop, stopping) = watch::channel(false);
        tokio::spawn(parts.actor.run(parts.inputs, parts.committed, stopping));
        while parts.inputs_in.capacity() == 0 {
            tokio::task::yield_now().await;
        }
        let queued = format!("hushwire_relay_inputs_waiting {INPUTS}\n");
        assert!(metrics.render().contains(&queued), "{}", metrics.render());
    }
}
