//! The relay on a simulated network and clock (feature `simulation`, for tests alone).
//!
//! Connections, logic and store are the real ones; the two threads become tasks, so that the clock
//! can stand still while they work, and streams come from wherever the test takes them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::actor::{self, HostClock};
use crate::allowance::Allowance;
use crate::connection::{self, Shared};
use crate::outbox::Capacity;
use crate::relay::Relay;
use crate::server::{RunError, Service};
use crate::socket::Buffered;

/// What the simulation says about the relay's machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Its clock at the start, seconds since 1970.
    pub unix_s: u64,
    /// From a batch's writes to the end of their sync.
    pub disk_latency: Duration,
}

/// Serves the streams that `accept` gives until its future is dropped, which is the machine's crash.
///
/// # Errors
/// As [`crate::run`]; never a client's fault.
///
/// # Panics
/// Where a connection's task does, so that a test sees it.
pub async fn serve<S>(
    mut accept: impl AsyncFnMut() -> io::Result<S>,
    service: Service,
    machine: Machine,
) -> Result<(), RunError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Service {
        store,
        key,
        limits,
        metrics,
    } = service;
    let key = Arc::new(key);
    let shared = Shared::new(
        Arc::clone(&key),
        limits.clone(),
        Arc::clone(&metrics),
        false,
    )?;
    let shared = Arc::new(shared);
    let clock = HostClock::simulated(machine.unix_s);
    let mut relay = Relay::open(Arc::clone(&store), limits.clone(), key.names, clock.now())?;
    relay.keys = key.known();
    let (_stop, stopping) = watch::channel(false);
    let inputs = actor::spawn_tasks(
        relay,
        store,
        metrics,
        clock,
        Capacity::of(&limits),
        stopping,
        machine.disk_latency,
    );
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = accept() => stream,
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
                continue;
            }
            () = inputs.closed() => return Err(RunError::Panicked),
        };
        if let Ok(stream) = stream {
            let stream = Buffered::new(BufReader::new(stream), Allowance::default());
            let deadline = Instant::now() + shared.limits.handshake_timeout;
            let (shared, inputs) = (Arc::clone(&shared), inputs.clone());
            connections.spawn(connection::serve(
                stream,
                deadline,
                shared.next_conn(),
                shared,
                inputs,
            ));
        }
    }
}
