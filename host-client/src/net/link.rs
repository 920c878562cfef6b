//! One link: a task that connects, reads, writes, and tries again until it is told to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hushwire_core::{
    link::{Bounds, HEAD_ROOM, Next, Opener, RecordReader, Sealer, TAIL_ROOM},
    wire::{
        answer::{Answer, NoticeKind},
        frame::Frames,
        request::Request,
    },
};
use rand_core::Rng as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    Backoff, Dialer, LinkError, LinkInput, Places, dial::Stream, error::Failure, handshake,
};
use crate::{
    card::RelayUrl,
    driver::{Input, Move, Moves},
    vault::OsRng,
    words::Seed,
};

/// Between two of a relay's places in one round.
const NEXT_PLACE: Duration = Duration::from_millis(20);
/// A relay closes a silent link after minutes; so does a router on the way.
const PING_AFTER: Duration = Duration::from_secs(45);
const SILENCE: Duration = Duration::from_secs(120);
/// After another device took over, for two of them must not fight; and after being turned away.
const UNWANTED: Duration = Duration::from_secs(300);
/// The number of the link's own pings; answers to it are nobody's.
const PING: u16 = 0x7fff;

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// What a link's task needs.
pub(crate) struct Link {
    pub(crate) number: u8,
    pub(crate) url: RelayUrl,
    pub(crate) dialer: Dialer,
    pub(crate) seed: Arc<Seed>,
    pub(crate) driver: mpsc::Sender<Input>,
    pub(crate) moves: watch::Receiver<Moves>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Link {
    /// Until it is told to stop, or the driver is gone, or its relay is another link's.
    pub(crate) async fn run(mut self) {
        let (mut stop, mut moves) = (self.stop.clone(), self.moves.clone());
        let mut backoff = Backoff::default();
        let mut places = Places::of(&self.url, OsRng::default().next_u32());
        loop {
            match moves.borrow_and_update().get(&self.number) {
                Some(Move { url: Some(url), .. }) => {
                    if self.url.authority != url.authority {
                        places = Places::of(url, OsRng::default().next_u32());
                    }
                    self.url = url.clone();
                }
                Some(Move { url: None, .. }) => return,
                None => {}
            }
            let (number, url) = (self.number, self.url.clone());
            let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
            let mut was_up = false;
            let failure = tokio::select! {
                failure = self.once(&places, generation, &mut was_up) => Some(failure),
                () = moved(&mut moves, number, &url) => None,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let has_moved = failure.is_none();
            let error = match failure {
                Some(failure) => failure.of(places.current()),
                None => LinkError::Connecting {
                    relay: url.authority.clone(),
                },
            };
            let unwanted = error.is_final() || matches!(error, LinkError::Superseded { .. });
            if self.tell(generation, LinkInput::Down(error)).await.is_err() {
                return;
            }
            if was_up {
                backoff.reset();
            }
            if has_moved {
                continue;
            }
            let pause = match places.is_round_done(was_up) {
                _ if unwanted => UNWANTED,
                true => backoff.next(OsRng::default().next_u32()),
                false => NEXT_PLACE,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = moved(&mut moves, number, &url) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn tell(&self, generation: u64, input: LinkInput) -> Result<(), Failure> {
        let input = Input::Link {
            link: self.number,
            generation,
            input,
        };
        let told = self.driver.send(input).await;
        told.map_err(|_| Failure::Lost("this client stops".into()))
    }

    /// One connection, from its beginning to its end.
    async fn once(&mut self, places: &Places, generation: u64, was_up: &mut bool) -> Failure {
        let slow = || Failure::Connect("no answer in time".into());
        let dialed = self.dialer.dial(&self.url, places.current());
        let mut stream = match timeout(places.patience(), dialed).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(failure)) => return failure,
            Err(_) => return slow(),
        };
        let handshake = handshake::run(&mut stream, &self.url, &self.seed);
        let transport = match timeout(places.patience(), handshake).await {
            Ok(Ok(transport)) => transport,
            Ok(Err(failure)) => return failure,
            Err(_) => return slow(),
        };
        *was_up = true;
        let bounds = Bounds::records(transport.own_limits());
        let max_frame = usize::from(transport.peer_limits().max_frame());
        let (sealer, opener) = transport.split();
        let (records, outgoing) = mpsc::unbounded_channel();
        let up = LinkInput::Up {
            key: self.url.key,
            records,
            max_plaintext: sealer.max_plaintext(),
            max_frame,
        };
        if let Err(failure) = self.tell(generation, up).await {
            return failure;
        }
        let (read, write) = split(stream);
        let ended = tokio::select! {
            ended = self.read(generation, read, opener, bounds) => ended,
            ended = self.write(generation, write, sealer, outgoing) => ended,
        };
        ended
            .err()
            .unwrap_or_else(|| Failure::Lost("this client closed it".into()))
    }

    async fn read(
        &self,
        generation: u64,
        mut stream: ReadHalf<Stream>,
        mut opener: Opener,
        bounds: Bounds,
    ) -> Result<(), Failure> {
        let room = HEAD_ROOM + usize::from(handshake::MAX_RECORD);
        let mut reader = RecordReader::new(vec![0; room].into_boxed_slice());
        let mut superseded = false;
        loop {
            if let Next::Record(record) = reader.next_record(bounds)? {
                let plaintext = opener.open(record)?.to_vec();
                match last_word(&plaintext) {
                    Some(LastWord::TurnedAway(code)) => return Err(Failure::TurnedAway(code)),
                    Some(LastWord::Superseded) => superseded = true,
                    None => {}
                }
                self.tell(generation, LinkInput::Record(plaintext)).await?;
                continue;
            }
            let got = timeout(SILENCE, stream.read(reader.room())).await;
            match got.map_err(|_| Failure::Lost("the relay fell silent".into()))? {
                Ok(0) | Err(_) if superseded => return Err(Failure::Superseded),
                Ok(0) => return Err(Failure::Lost("the relay closed it".into())),
                got => reader.filled(got?),
            }
        }
    }

    async fn write(
        &self,
        generation: u64,
        mut stream: WriteHalf<Stream>,
        mut sealer: Sealer,
        mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    ) -> Result<(), Failure> {
        loop {
            let next = timeout(PING_AFTER, outgoing.recv()).await;
            let (mut record, counts) = match next {
                Ok(Some(record)) => (record, true),
                Ok(None) => return Ok(()),
                Err(_) => (ping(), false),
            };
            let len = record.len() - HEAD_ROOM;
            record.resize(record.len() + TAIL_ROOM, 0);
            let sealed = sealer.seal(&mut record, len);
            let len = sealed.map_err(|error| Failure::Lost(error.to_string()))?;
            stream.write_all(&record[..len]).await?;
            stream.flush().await?;
            if counts {
                self.tell(generation, LinkInput::Written).await?;
            }
        }
    }
}

/// Until the link leads elsewhere than to `url`.
async fn moved(moves: &mut watch::Receiver<Moves>, number: u8, url: &RelayUrl) {
    let elsewhere = |moves: &Moves| {
        let now = moves.get(&number).filter(|now| now.at_once);
        now.is_some_and(|now| now.url.as_ref() != Some(url))
    };
    if moves.wait_for(elsewhere).await.is_err() {
        // The driver is gone: the link ends by that.
        std::future::pending().await
    }
}

/// A record's plaintext with room in front, holding one ping.
fn ping() -> Vec<u8> {
    let mut record = vec![0; HEAD_ROOM];
    let mut frame = [0; 8];
    let len = Request::Ping { number: PING }.emit(&mut frame).unwrap_or(0);
    record.extend_from_slice(&(len as u16).to_be_bytes());
    record.extend_from_slice(&frame[..len]);
    record
}

/// What the relay says of the link itself.
enum LastWord {
    Superseded,
    TurnedAway(u32),
}

fn last_word(plaintext: &[u8]) -> Option<LastWord> {
    let mut answers = Frames::new(plaintext)
        .flatten()
        .filter_map(|f| Answer::parse(f).ok());
    answers.find_map(|answer| match answer {
        Answer::Notice { kind, count, .. } => match kind {
            NoticeKind::Superseded => Some(LastWord::Superseded),
            NoticeKind::TurnedAway => Some(LastWord::TurnedAway(count)),
            _ => None,
        },
        _ => None,
    })
}
