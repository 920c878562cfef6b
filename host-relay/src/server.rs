//! Accepts connections, and stops in order.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hushwire_core::link::LimitsError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use crate::actor::{self, HostClock, Input};
use crate::connection::Shared;
use crate::entrance::{self, Entrance};
use crate::guests::Guests;
use crate::key::RelayKey;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::operator::{self, Door};
use crate::outbox::Capacity;
use crate::relay::Relay;
use crate::seldom::Seldom;
use crate::store::{Store, StoreError};

/// What clients have to hang up when the relay that has the store changes: nothing of theirs is under way any more, and
/// all of them wait for the next trunk.
#[cfg(feature = "cluster")]
const MOVES_ON: Duration = Duration::from_secs(1);

/// What a relay runs on.
pub struct Service {
    /// Where messages wait.
    pub store: Arc<dyn Store>,
    /// What clients pin.
    pub key: RelayKey,
    /// All bounds.
    pub limits: Limits,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
}

/// Why a relay does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The link's limits.
    #[error("the limits of records and windows make no sense: {0}")]
    Limits(#[from] LimitsError),
    /// One of the relay's threads ended before its time.
    #[error("the relay's logic ended unexpectedly; please report what the log says before this")]
    Panicked,
}

/// Serves the clients of any number of listeners, and the operator ([`crate::operator`]), until `shutdown`
/// comes; then everything in flight is accepted or refused, every client told, and the store left in
/// order, within the stop's time limit.
pub async fn run(
    entrances: Vec<Entrance>,
    operator: Option<Door>,
    service: Service,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let Service {
        store,
        key,
        limits,
        metrics,
    } = service;
    let key = Arc::new(key);
    let mut shutdown = pin!(shutdown);
    let Some(loaded) = load(store, Arc::clone(&key), limits.clone(), &mut shutdown).await? else {
        return Ok(());
    };
    let doors = Doors {
        entrances,
        operator,
        key,
        limits,
        metrics,
    };
    run_owner(doors, Owner::alone(loaded), shutdown).await
}

/// A store, and the logic with what it holds.
pub(crate) struct Loaded {
    relay: Relay,
    store: Arc<dyn Store>,
    clock: HostClock,
}

/// Reads what the store holds, which takes as long as there is mail: whoever listens meanwhile keeps clients waiting
/// who could go elsewhere. `None` after `shutdown`.
pub(crate) async fn load(
    store: Arc<dyn Store>,
    key: Arc<RelayKey>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<Option<Loaded>, RunError> {
    let stop_timeout = limits.stop_timeout;
    let mut loading = spawn_blocking(move || {
        let clock = HostClock::start();
        let mut relay = Relay::open(Arc::clone(&store), limits, key.names, clock.now())?;
        relay.keys = key.known();
        Ok(Loaded {
            relay,
            store,
            clock,
        })
    });
    tokio::select! {
        loaded = &mut loading => return loaded.map_err(|_| RunError::Panicked)?.map(Some),
        () = shutdown => {}
    }
    // Whoever opens the store next finds it let go.
    let _ = timeout(stop_timeout, loading).await;
    Ok(None)
}

/// Where clients and the operator come in, and what they meet there.
pub(crate) struct Doors {
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) operator: Option<Door>,
    pub(crate) key: Arc<RelayKey>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
}

/// What only the relay that has the store has.
pub(crate) struct Owner {
    pub(crate) loaded: Loaded,
    /// Where other relays of the store call.
    #[cfg(feature = "cluster")]
    pub(crate) host: Option<crate::nodes::Host>,
}

impl Owner {
    /// Of a store that no other relay serves.
    pub(crate) const fn alone(loaded: Loaded) -> Self {
        Self {
            loaded,
            #[cfg(feature = "cluster")]
            host: None,
        }
    }
}

/// Serves clients out of the store.
pub(crate) async fn run_owner(
    doors: Doors,
    owner: Owner,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let (key, limits, metrics) = (&doors.key, &doors.limits, &doors.metrics);
    let shared = Shared::new(Arc::clone(key), limits.clone(), Arc::clone(metrics), false)?;
    let Loaded {
        relay,
        store,
        clock,
    } = owner.loaded;
    metrics.observe(&relay.tally());
    metrics.has_store();
    let (stop, stopping) = watch::channel(false);
    let capacity = Capacity::of(limits);
    let (inputs, logic) = actor::spawn(
        relay,
        store,
        Arc::clone(metrics),
        clock,
        capacity,
        stopping.clone(),
    );

    let stop_timeout = limits.stop_timeout;
    let mut open = Open::new(doors, shared, inputs);
    #[cfg(feature = "cluster")]
    if let Some(host) = owner.host {
        let (shared, inputs) = (Arc::clone(&open.shared), open.inputs.clone());
        open.connections.spawn(host.serve(shared, inputs, stopping));
    }
    tokio::select! {
        () = open.serve() => {}
        () = shutdown => {}
    }
    let died = open.inputs.is_closed();

    // Its receivers are gone only when the logic is.
    let _ = stop.send(true);
    let deadline = Instant::now() + stop_timeout;
    open.close(deadline).await;
    // The last commit: the logic ends when its last connection is gone.
    match timeout_at(deadline + Duration::from_millis(500), logic).await {
        Ok(Ok(())) if !died => Ok(()),
        Ok(_) => Err(RunError::Panicked),
        Err(_) => {
            tracing::warn!("the store did not finish in time; what was accepted is durable");
            Ok(())
        }
    }
}

/// Why a relay passes its clients on no more.
#[cfg(feature = "cluster")]
pub(crate) enum Ends {
    /// It stops.
    Stopped,
    /// The relay that it passed them on to has the store no more.
    Lost,
    /// The trunk to that one broke.
    Broke(crate::nodes::TrunkError),
}

/// Serves clients out of the store that another relay has, until `ends` says why not, or the trunk to
/// that relay breaks.
#[cfg(feature = "cluster")]
pub(crate) async fn run_front(
    doors: Doors,
    trunk: crate::nodes::Trunk,
    at: String,
    ends: impl Future<Output = Ends>,
) -> Result<Ends, RunError> {
    let (key, limits, metrics) = (&doors.key, &doors.limits, &doors.metrics);
    let shared = Shared::new(Arc::clone(key), limits.clone(), Arc::clone(metrics), true)?;
    let (stop, stopping) = watch::channel(false);
    let (inputs, asked) = mpsc::channel(actor::INPUTS);
    let front = crate::nodes::Front {
        trunk,
        at,
        metrics: Arc::clone(metrics),
        outbox: Capacity::of(limits),
    };
    let front = tokio::spawn(crate::nodes::front(front, asked, stopping));

    let stop_timeout = limits.stop_timeout;
    let mut open = Open::new(doors, shared, inputs);
    let ended = tokio::select! {
        () = open.serve() => None,
        ended = ends => Some(ended),
    };
    if ended.is_some() {
        // Its receivers are gone only when the trunk is.
        let _ = stop.send(true);
    }
    let patience = match ended {
        Some(Ends::Stopped) => stop_timeout,
        _ => stop_timeout.min(MOVES_ON),
    };
    open.close(Instant::now() + patience).await;
    let broke = front.await.map_err(|_| RunError::Panicked)?.err();
    Ok(ended.or(broke.map(Ends::Broke)).unwrap_or(Ends::Lost))
}

/// Everything that takes connections.
struct Open {
    entrances: Vec<Entrance>,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    connections: JoinSet<()>,
    operators: JoinSet<()>,
}

impl Open {
    fn new(doors: Doors, shared: Shared, inputs: mpsc::Sender<Input>) -> Self {
        let mut operators = JoinSet::new();
        if let Some(operator) = doors.operator {
            operators.spawn(operator::serve(operator, inputs.clone()));
        }
        shared.metrics.serving(true);
        Self {
            entrances: doors.entrances,
            shared: Arc::new(shared),
            inputs,
            connections: JoinSet::new(),
            operators,
        }
    }

    /// Takes connections until what they ask has nowhere to go.
    async fn serve(&mut self) {
        let Self {
            entrances,
            shared,
            inputs,
            connections,
            operators: _,
        } = self;
        tokio::select! {
            () = accept(entrances, shared, inputs, connections) => {}
            () = inputs.closed() => {}
        }
    }

    /// Takes no more, and waits for the clients that are there until `deadline`.
    async fn close(mut self, deadline: Instant) {
        drop(self.entrances);
        self.shared.close();
        self.shared.metrics.serving(false);
        // The logic ends when nobody can ask it any more.
        self.operators.shutdown().await;
        drop(self.inputs);
        let mut connections = self.connections;
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout_at(deadline, ended).await.is_err() {
            connections.abort_all();
            while connections.join_next().await.is_some() {}
        }
    }
}

/// Accepts for ever.
async fn accept(
    entrances: &[Entrance],
    shared: &Arc<Shared>,
    inputs: &mpsc::Sender<Input>,
    connections: &mut JoinSet<()>,
) {
    let limits = &shared.limits;
    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let guests = Guests::new(
        limits.connections_per_ip,
        limits.handshakes_per_ip_per_second,
    );
    let (mut turn, mut told) = (0, Seldom::default());
    loop {
        shared
            .metrics
            .open_connections
            .set(connections.len() as f64);
        let accepted = tokio::select! {
            accepted = entrance::accept(entrances, &mut turn) => accepted,
            // Ended connections are let go as they end.
            Some(_) = connections.join_next() => continue,
        };
        let (coat, stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that was gone before: neither lasts.
                if told.may() {
                    tracing::warn!(%error, "a connection could not be accepted");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            shared.metrics.refused_connections.increment(1);
            continue;
        };
        let Some(place) = guests.admit(from.ip()) else {
            shared.metrics.refused_connections.increment(1);
            continue;
        };
        shared.metrics.accepted_connections.increment(1);
        // Answers are small and awaited: nothing gains from waiting for more.
        let _ = stream.set_nodelay(true);
        let relay = (Arc::clone(shared), inputs.clone());
        let held = (slot, place);
        entrance::serve(connections, (stream, coat), shared.next_conn(), relay, held);
    }
}
