//! The side of a relay that has no store: its clients are served by the one that has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::frame::Frames;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};

use super::item::{Item, VERSION};
use super::trunk::{Source, Trunk, TrunkError};
use super::{CHUNKS, stopped};
use crate::actor::Input;
use crate::metrics::Metrics;
use crate::outbox::{Capacity, Outbox};
use crate::relay::ConnId;
use crate::request::Answer;
use crate::tally::Tally;

/// Inputs that are put together before they are handed to the trunk.
const TOGETHER: usize = 64;
/// When this relay stops: time for what is under way to be answered.
const GRACE: Duration = Duration::from_millis(500);

/// What stands in the place of the logic.
pub(crate) struct Front {
    pub(crate) trunk: Trunk,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) outbox: Capacity,
    /// What the operator is told.
    pub(crate) at: String,
}

/// Passes everything on until the trunk breaks, or this relay stops and its clients are gone. Then
/// every client is closed: it asks again what was not answered, here or elsewhere.
pub(crate) async fn front(
    front: Front,
    mut inputs: mpsc::Receiver<Input>,
    stopping: watch::Receiver<bool>,
) -> Result<(), TrunkError> {
    let clients = Clients::default();
    let (mut source, sink) = front.trunk.split();
    let (chunks, written) = mpsc::channel(CHUNKS);
    // What the owner's outbox held comes at once, and more behind it: that is nobody's slowness.
    let capacity = front.outbox.times(4);
    let ended = tokio::select! {
        ended = sink.run(written) => ended,
        () = clients.ask(&mut inputs, chunks, &front.at) => Ok(()),
        ended = clients.answer(&mut source, capacity) => ended,
        never = clients.watch(stopping, &front.metrics) => never,
    };
    // Who came meanwhile waits for nothing.
    inputs.close();
    while let Ok(input) = inputs.try_recv() {
        clients.take(input, &mut Vec::new(), &front.at);
    }
    clients.close_all();
    front.metrics.observe(&Tally::default());
    ended
}

#[derive(Default)]
struct Clients {
    /// A plain lock: held for a look-up or a push, never across an await.
    known: Mutex<HashMap<u64, Arc<Outbox>>>,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Outbox>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings what clients ask to the trunk. Ends when nobody can ask any more.
    async fn ask(
        &self,
        inputs: &mut mpsc::Receiver<Input>,
        chunks: mpsc::Sender<Vec<u8>>,
        at: &str,
    ) {
        let mut chunk = Vec::new();
        Item::Hello { version: VERSION }.emit(&mut chunk);
        let mut batch = Vec::with_capacity(TOGETHER);
        loop {
            // A trunk that is closed is noticed by who writes to it.
            if !chunk.is_empty() && chunks.send(std::mem::take(&mut chunk)).await.is_err() {
                return;
            }
            if inputs.recv_many(&mut batch, TOGETHER).await == 0 {
                return;
            }
            batch
                .drain(..)
                .for_each(|input| self.take(input, &mut chunk, at));
        }
    }

    fn take(&self, input: Input, chunk: &mut Vec<u8>, at: &str) {
        match input {
            Input::Connected {
                conn: ConnId(client),
                address,
                limits,
                outbox,
            } => {
                self.lock().insert(client, outbox);
                let open = Item::Open {
                    client,
                    address,
                    limits,
                };
                open.emit(chunk);
            }
            Input::Asked(ConnId(client), frames) => Item::Asked {
                client,
                frames: &frames,
            }
            .emit(chunk),
            Input::Gone(ConnId(client)) => {
                self.lock().remove(&client);
                Item::Gone { client }.emit(chunk);
            }
            // Connections of a front read no requests.
            Input::Requests(..) => {}
            Input::Admin(_, reply) => {
                let error = format!(
                    "this relay passes its clients on to another one ({at}), which has the store: \
                     ask there"
                );
                // Who asked may have left.
                let _ = reply.send(vec![json!({ "error": error })]);
            }
        }
    }

    /// Brings answers to their clients. A client that is too slow for them is closed.
    async fn answer(&self, source: &mut Source, capacity: Capacity) -> Result<(), TrunkError> {
        loop {
            source.fill().await?;
            while let Some(item) = source.next()? {
                match item {
                    Item::Answered { client, frames } => {
                        // It may be gone.
                        let Some(outbox) = self.lock().get(&client).cloned() else {
                            continue;
                        };
                        let frames = Frames::new(frames).map_while(Result::ok);
                        let mut answers = frames.map(|frame| Answer::Frame(frame.into())).collect();
                        outbox.append(&mut answers, capacity);
                    }
                    Item::Close { client } => {
                        if let Some(outbox) = self.lock().get(&client) {
                            outbox.close();
                        }
                    }
                    Item::Beat => {}
                    Item::Hello { version } => return Err(TrunkError::Version(version)),
                    Item::Open { .. } | Item::Asked { .. } | Item::Gone { .. } => {}
                }
            }
        }
    }

    /// Counts the clients, and tells them when this relay stops.
    async fn watch(
        &self,
        mut stopping: watch::Receiver<bool>,
        metrics: &Metrics,
    ) -> Result<(), TrunkError> {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => metrics.observe(&Tally {
                    connections: self.lock().len() as u64,
                    ..Tally::default()
                }),
                () = stopped(&mut stopping) => break,
            }
        }
        let stops = Answer::Notice {
            kind: NoticeKind::Stopping,
            peer: Address::ZERO,
            count: 0,
        };
        for outbox in self.lock().values() {
            outbox.append(&mut [stops.clone()].into(), Capacity::UNBOUNDED);
        }
        loop {
            sleep(GRACE).await;
            self.close_all();
        }
    }

    fn close_all(&self) {
        self.lock().values().for_each(|outbox| outbox.close());
    }
}
