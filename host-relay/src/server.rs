//! Accepts connections, and stops in order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hushwire_core::link::{LimitsError, LinkLimits};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::actor::{self, HostClock, Input};
use crate::connection::Shared;
use crate::entrance::{self, Entrance};
use crate::guests::Guests;
use crate::key::RelayKey;
use crate::limits::{Limits, MAX_FRAME};
use crate::metrics::Metrics;
use crate::operator::{self, Door};
use crate::relay::{ConnId, Relay};
use crate::store::{Store, StoreError};

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

/// Serves clients until `shutdown` comes; then everything in flight is accepted or refused, every
/// client told, and the store left in order, within the stop's time limit.
pub async fn run(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    run_with_admin(listener, None, service, shutdown).await
}

/// As [`run`], with the operator's socket ([`crate::operator`]).
pub async fn run_with_admin(
    listener: TcpListener,
    operator: Option<Door>,
    service: Service,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    run_at(vec![Entrance::plain(listener)], operator, service, shutdown).await
}

/// As [`run_with_admin`], at any number of listeners, each with what its clients wear.
pub async fn run_at(
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
    let own = LinkLimits::new(limits.max_record, MAX_FRAME as u16, limits.window)?;
    let clock = HostClock::start();
    let mut relay = Relay::open(Arc::clone(&store), limits.clone(), key.names, clock.now())?;
    relay.keys = key.known();
    metrics.observe(&relay.tally());
    let (stop, stopping) = watch::channel(false);
    let frames = limits.outbox_frames;
    let (inputs, logic) = actor::spawn(relay, store, Arc::clone(&metrics), clock, frames, stopping);

    let slots = Arc::new(Semaphore::new(limits.connections as usize));
    let stop_timeout = limits.stop_timeout;
    let shared = Arc::new(Shared {
        key,
        limits,
        own,
        metrics: Arc::clone(&metrics),
        started: Instant::now(),
    });
    let mut operators = JoinSet::new();
    if let Some(operator) = operator {
        operators.spawn(operator::serve(operator, inputs.clone()));
    }
    let mut connections = JoinSet::new();
    let mut died = false;
    tokio::select! {
        () = accept(&entrances, &shared, &slots, &inputs, &mut connections) => {}
        () = shutdown => {}
        () = inputs.closed() => died = true,
    }

    drop(entrances);
    metrics.stopping();
    // Its receivers are gone only when the logic is.
    let _ = stop.send(true);
    // The logic ends when nobody can ask it any more.
    operators.shutdown().await;
    drop(inputs);
    let deadline = Instant::now() + stop_timeout;
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout_at(deadline, ended).await.is_err() {
        connections.abort_all();
        while connections.join_next().await.is_some() {}
    }
    // The last commit: the logic ends when its last connection is gone.
    let joined = tokio::task::spawn_blocking(move || logic.join());
    match timeout_at(deadline + Duration::from_millis(500), joined).await {
        Ok(Ok(Ok(()))) if !died => Ok(()),
        Ok(_) => Err(RunError::Panicked),
        Err(_) => {
            tracing::warn!("the store did not finish in time; what was accepted is durable");
            Ok(())
        }
    }
}

/// Accepts for ever.
async fn accept(
    entrances: &[Entrance],
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    inputs: &mpsc::Sender<Input>,
    connections: &mut JoinSet<()>,
) {
    let limits = &shared.limits;
    let guests = Guests::new(
        limits.connections_per_ip,
        limits.handshakes_per_ip_per_second,
    );
    let (mut next, mut turn) = (0, 0);
    loop {
        let accepted = tokio::select! {
            accepted = entrance::accept(entrances, &mut turn) => accepted,
            // Ended connections are let go as they end.
            Some(_) = connections.join_next() => continue,
        };
        let (coat, stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that was gone before: neither lasts.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
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
        next += 1;
        let relay = (Arc::clone(shared), inputs.clone());
        let held = (slot, place);
        entrance::serve(connections, (stream, coat), ConnId(next), relay, held);
    }
}
