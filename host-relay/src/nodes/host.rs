//! The owner's side of trunks: clients of other relays ask the one logic.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::frame;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Duration, sleep, timeout};

use super::item::{Item, VERSION};
use super::trunk::{Trunk, TrunkError};
use super::{CHUNKS, MOST, STRANGERS, STRANGERS_PER_IP, stopped};
use crate::actor::Input;
use crate::codec;
use crate::connection::{Shared, requests_of};
use crate::guests::Guests;
use crate::inputs::{hand_over, tell, tell_later};
use crate::outbox::Outbox;
use crate::rate::Bucket;
use crate::relay::{ConnId, PeerLimits};
use crate::request::Answer;
use crate::seldom::Seldom;
use crate::spare;

/// What was said last on a trunk may take so long to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the other relays of the store call.
pub(crate) struct Host {
    pub(crate) listener: TcpListener,
}

impl Host {
    /// Serves trunks until the relay stops and their clients are gone.
    pub(crate) async fn serve(
        self,
        shared: Arc<Shared>,
        inputs: mpsc::Sender<Input>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut callers = JoinSet::new();
        let (trunks, strangers) = (Semaphore::new(MOST), Semaphore::new(STRANGERS));
        let (trunks, strangers) = (Arc::new(trunks), Arc::new(strangers));
        let guests = Guests::new(STRANGERS_PER_IP, 0);
        let (stops, mut told) = (stopping.clone(), Seldom::default());
        loop {
            let (stream, from) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        if told.may() {
                            tracing::warn!(%error, "a relay's call could not be accepted");
                        }
                        sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                Some(_) = callers.join_next() => continue,
                () = stopped(&mut stopping) => break,
            };
            // Until it has proved that it is a relay it takes no relay's place.
            let place = Arc::clone(&strangers).try_acquire_owned().ok();
            let Some(place) = place.zip(guests.admit(from.ip())) else {
                shared.metrics.refused_connections.increment(1);
                continue;
            };
            let (shared, trunks) = (Arc::clone(&shared), Arc::clone(&trunks));
            let (inputs, mut stops) = (inputs.clone(), stops.clone());
            callers.spawn(async move {
                let answered = tokio::select! {
                    answered = answer_call(stream, &shared) => answered,
                    () = stopped(&mut stops) => return,
                };
                drop(place);
                let Some(trunk) = answered else { return };
                match trunks.try_acquire() {
                    Ok(_place) => host(trunk, shared, inputs, stops).await,
                    Err(_) => {
                        tracing::warn!("a relay more than {MOST} calls; it is not answered");
                    }
                }
            });
        }
        drop(self.listener);
        while callers.join_next().await.is_some() {}
    }
}

/// The trunk, if whoever calls is a relay of this store.
async fn answer_call(stream: TcpStream, shared: &Shared) -> Option<Trunk> {
    let answered = Trunk::answer(stream, &shared.key, &shared.turns).await;
    let answered = answered.inspect_err(|error| {
        shared.metrics.failed_handshakes.increment(1);
        tracing::debug!(%error, "no trunk");
    });
    answered.ok()
}

/// Serves one trunk, and says how it ended.
async fn host(
    trunk: Trunk,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    stopping: watch::Receiver<bool>,
) {
    shared.metrics.trunks.increment(1.0);
    tracing::info!("another relay passes its clients on to this one");
    let (mut source, sink) = trunk.split();
    let (chunks, written) = mpsc::channel(CHUNKS);
    let mut writing = tokio::spawn(sink.run(written));
    let mut clients = Clients {
        known: HashMap::new(),
        shared: Arc::clone(&shared),
        inputs,
        chunks,
    };
    let ended = tokio::select! {
        ended = clients.serve(&mut source, stopping) => ended,
        _ = &mut writing => Err(TrunkError::Closed),
    };
    if let Err(error) = ended {
        tracing::info!(%error, clients = clients.known.len(), "a relay's trunk ended");
    }
    clients.end().await;
    shared.metrics.trunks.decrement(1.0);
    // What is still to be said; a relay that is gone does not hear it.
    if !writing.is_finished() && timeout(LAST_WORDS, &mut writing).await.is_err() {
        writing.abort();
    }
}

/// The clients of one trunk, by their numbers there.
struct Clients {
    known: HashMap<u64, Client>,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    chunks: mpsc::Sender<Vec<u8>>,
}

struct Client {
    conn: ConnId,
    address: Address,
    verified: Bucket,
    /// Brings its answers to the trunk.
    answering: AbortHandle,
}

impl Clients {
    async fn serve(
        &mut self,
        source: &mut super::trunk::Source,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), TrunkError> {
        let (mut stops, mut greeted) = (false, false);
        loop {
            tokio::select! {
                filled = source.fill() => filled?,
                () = stopped(&mut stopping), if !stops => stops = true,
            }
            while let Some(item) = source.next()? {
                match item {
                    Item::Hello { version: VERSION } if !greeted => greeted = true,
                    Item::Hello { version } => return Err(TrunkError::Version(version)),
                    _ if !greeted => return Err(TrunkError::Version(0)),
                    Item::Open {
                        client,
                        address,
                        limits,
                    } => self.open(client, address, limits).await?,
                    Item::Asked { client, frames } => self.asked(client, frames).await?,
                    Item::Gone { client } => self.gone(client).await,
                    Item::Answered { .. } | Item::Close { .. } | Item::Beat => {}
                }
            }
            if stops && self.known.is_empty() {
                return Ok(());
            }
        }
    }

    async fn open(
        &mut self,
        client: u64,
        address: Address,
        limits: PeerLimits,
    ) -> Result<(), TrunkError> {
        let conn = self.shared.next_conn();
        let outbox = Arc::new(Outbox::default());
        let answering = tokio::spawn(answer(client, Arc::clone(&outbox), self.chunks.clone()));
        let known = Client {
            conn,
            address,
            verified: Bucket::default(),
            answering: answering.abort_handle(),
        };
        self.known.insert(client, known);
        let connected = Input::Connected {
            conn,
            address,
            limits,
            outbox,
        };
        tell(&self.inputs, connected)
            .await
            .map_err(|_| TrunkError::Closed)
    }

    async fn asked(&mut self, client: u64, frames: &[u8]) -> Result<(), TrunkError> {
        // It may have been closed when it said this.
        let Some(known) = self.known.get_mut(&client) else {
            return Ok(());
        };
        let mut requests = spare::lend();
        let (address, verified) = (&known.address, &mut known.verified);
        match requests_of(frames, address, &self.shared, verified, &mut requests) {
            Ok(()) => hand_over(known.conn, requests, &self.inputs)
                .await
                .map_err(|_| TrunkError::Closed),
            Err(fault) => {
                self.shared.metrics.faulty_peers.increment(1);
                tracing::debug!(conn = known.conn.0, %fault, "a relay's client is closed");
                self.gone(client).await;
                let mut close = Vec::new();
                Item::Close { client }.emit(&mut close);
                self.chunks
                    .send(close)
                    .await
                    .map_err(|_| TrunkError::Closed)
            }
        }
    }

    async fn gone(&mut self, client: u64) {
        if let Some(known) = self.known.remove(&client) {
            known.answering.abort();
            // The logic's end has heard of every client's before its own.
            let _ = tell(&self.inputs, Input::Gone(known.conn)).await;
        }
    }

    async fn end(mut self) {
        let known: Vec<_> = self.known.keys().copied().collect();
        for client in known {
            self.gone(client).await;
        }
    }
}

/// Its task may have panicked.
impl Drop for Clients {
    fn drop(&mut self) {
        for (_, known) in self.known.drain() {
            known.answering.abort();
            tell_later(&self.inputs, Input::Gone(known.conn));
        }
    }
}

/// Brings one client's answers to the trunk, and at last the word that it is to be closed. A trunk
/// that is too slow for them fills the outbox, which then ends the client as its own slowness would.
async fn answer(client: u64, outbox: Arc<Outbox>, chunks: mpsc::Sender<Vec<u8>>) {
    loop {
        outbox.changed().await;
        let (answers, end) = outbox.take();
        let mut chunk = Vec::new();
        emit(client, answers, &mut chunk);
        if end.is_some() {
            Item::Close { client }.emit(&mut chunk);
        }
        if (!chunk.is_empty() && chunks.send(chunk).await.is_err()) || end.is_some() {
            return;
        }
        outbox.written();
    }
}

/// Frames that go into one item at most: the reader takes an item whole.
const TOGETHER: usize = 64 * 1024;

fn emit(client: u64, answers: VecDeque<Answer>, chunk: &mut Vec<u8>) {
    let mut frames = Vec::new();
    for answer in answers {
        let start = frames.len();
        frames.resize(start + frame::PREFIX_LEN + codec::max_len(&answer), 0);
        let emitted = frame::append(&mut frames, start, |room| codec::emit(&answer, room));
        // What does not fit its own bound is no frame.
        frames.truncate(emitted.unwrap_or(start));
        if frames.len() > TOGETHER {
            Item::Answered {
                client,
                frames: &frames,
            }
            .emit(chunk);
            frames.clear();
        }
    }
    if !frames.is_empty() {
        Item::Answered {
            client,
            frames: &frames,
        }
        .emit(chunk);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpSocket;

    use super::super::HANDSHAKE;
    use super::*;
    use crate::key::RelayKey;
    use crate::limits::Limits;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn strangers_take_no_relays_place() {
        let folder = tempfile::tempdir().unwrap();
        let key = Arc::new(RelayKey::load_or_create(&folder.path().join("key")).unwrap());
        let metrics = Arc::new(Metrics::new().unwrap());
        let (limits, figures) = (Limits::default(), Arc::clone(&metrics));
        let shared = Shared::new(Arc::clone(&key), limits, figures, false).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (inputs, _asked) = mpsc::channel(1);
        let (stop, stops) = watch::channel(false);
        let serving = tokio::spawn(Host { listener }.serve(Arc::new(shared), inputs, stops));

        // All of one address, and silent.
        let (mut silent, began) = (Vec::new(), Instant::now());
        for _ in 0..=STRANGERS {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            silent.push(socket.connect(at).await.unwrap());
        }
        // Calls are taken in their order: these come behind all of the strangers. And relays are not
        // counted as strangers, however many have one address.
        let mut trunks = Vec::new();
        for _ in 0..=STRANGERS_PER_IP {
            trunks.push(Trunk::dial(&at.to_string(), &key).await.unwrap());
        }
        drop(trunks);
        let in_time = began.elapsed() < HANDSHAKE;
        stop.send(true).unwrap();
        serving.await.unwrap();
        // Who is silent is not waited for.
        if in_time {
            let figures = metrics.render();
            assert!(figures.contains("failed_handshakes_total 0"), "{figures}");
        }
        drop(silent);
    }
}
