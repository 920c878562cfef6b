//! One connection: bytes and deadlines. Everything that is decided is decided in `relay`.
//!
//! A stranger costs a task and a few hundred bytes until its handshake is done, within a deadline.
//! Afterwards buffers exist only while there is something in them: an idle connection has none.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hushwire_core::crypto::PublicKey;
use hushwire_core::identity::Address;
use hushwire_core::link::{
    Bounds, HEAD_ROOM, LimitsError, LinkLimits, Opener, RecordError, Scan, Sealer, TAIL_ROOM, scan,
};
use hushwire_core::wire::WireError;
use hushwire_core::wire::frame::{self, Frames};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::actor::Input;
use crate::codec;
use crate::handshake::{Fault, Shaken, Turns, shake_hands};
use crate::inputs::{Known, REQUESTS, hand_over, tell};
use crate::key::RelayKey;
use crate::limits::{Limits, MAX_FRAME};
use crate::metrics::Metrics;
use crate::outbox::{End, Outbox};
use crate::rate::{Bucket, Rate};
use crate::relay::{ConnId, PeerLimits};
use crate::request::{Answer, Request};
use crate::socket::Socket;
use crate::spare;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) key: Arc<RelayKey>,
    pub(crate) limits: Limits,
    /// What the relay takes, as every handshake says.
    pub(crate) own: LinkLimits,
    pub(crate) metrics: Arc<Metrics>,
    /// What buckets count from.
    pub(crate) started: Instant,
    /// Handshakes take them.
    pub(crate) turns: Turns,
    /// Connections so far, those of other relays' clients too.
    conns: AtomicU64,
    /// Nobody becomes a client any more.
    closing: watch::Sender<bool>,
    /// What clients ask is not read here but passed on to the relay that has the store.
    passes_on: bool,
}

impl Shared {
    pub(crate) fn new(
        key: Arc<RelayKey>,
        limits: Limits,
        metrics: Arc<Metrics>,
        passes_on: bool,
    ) -> Result<Self, LimitsError> {
        Ok(Self {
            own: LinkLimits::new(limits.max_record, MAX_FRAME as u16, limits.window)?,
            key,
            limits,
            metrics,
            started: Instant::now(),
            turns: Turns::new(),
            conns: AtomicU64::new(1),
            closing: watch::Sender::default(),
            passes_on,
        })
    }

    /// A number that no connection had before.
    pub(crate) fn next_conn(&self) -> ConnId {
        ConnId(self.conns.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends whatever strangers do, now and from now on.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// What `work` of a stranger comes to, until `deadline` or [`Self::close`].
    pub(crate) async fn in_time<F: Future>(&self, deadline: Instant, work: F) -> Option<F::Output> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            done = timeout_at(deadline, work) => done.ok(),
            _ = closing.wait_for(|closing| *closing) => None,
        }
    }

    /// Counts and logs it, unless it was this relay that ended it.
    pub(crate) fn no_handshake(&self, conn: ConnId, fault: &dyn Display) {
        if !*self.closing.borrow() {
            self.metrics.failed_handshakes.increment(1);
            tracing::debug!(conn = conn.0, %fault, "no handshake");
        }
    }
}

/// Bytes that are read at a time.
const READ: usize = 16 * 1024;
/// Bytes that are put together before they are written.
const WRITE: usize = 64 * 1024;
/// Bundles of one connection whose signatures are verified: these at once, then one a second. A
/// signature costs the relay a thousand times what it costs the client to send another.
const VERIFIED_AT_ONCE: u32 = 8;
/// After its last answer a connection waits so long for the client to hang up: closing at once,
/// with bytes of the client unread, would make the network drop what was just said.
const LINGER: Duration = Duration::from_millis(500);

thread_local! {
    /// Lent to whichever connection of this thread reads or writes, never across an await. Allocating
    /// them for each would cost as much as what is done with them. The first one's length is its room.
    static READING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static WRITING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Serves one connection to its end. The link's handshake has to be done at `deadline`.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps room for its arguments twice"
)]
pub(crate) fn serve(
    mut stream: impl Socket,
    deadline: Instant,
    conn: ConnId,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
) -> impl Future<Output = ()> + Send {
    async move {
        // In a box, as everything that is rare: the room is given back when it is done.
        let handshake = shake_hands(&mut stream, &shared.key, shared.own, &shared.turns);
        let shaken = Box::pin(shared.in_time(deadline, handshake)).await;
        let (mut client, limits) = match shaken.unwrap_or(Err(Fault::Slow)) {
            Ok(shaken) => Client::new(conn, shaken),
            Err(fault) => return shared.no_handshake(conn, &fault),
        };

        stream.admit();
        let outbox = Arc::new(Outbox::default());
        let connected = Input::Connected {
            conn,
            address: client.address,
            limits,
            outbox: Arc::clone(&outbox),
        };
        if tell(&inputs, connected).await.is_err() {
            return;
        }
        let known = Known::new(conn, &inputs);
        if let Err(fault) = client.run(&mut stream, &shared, &inputs, &outbox).await {
            shared.metrics.faulty_peers.increment(1);
            tracing::debug!(conn = conn.0, %fault, "connection closed");
        }
        known.leaves().await;
    }
}

/// What a client asks with the frames of one record.
pub(crate) fn requests_of(
    record: &[u8],
    client: &Address,
    shared: &Shared,
    verified: &mut Bucket,
    requests: &mut Vec<Request>,
) -> Result<(), Fault> {
    let now_us = shared.started.elapsed().as_micros() as u64;
    for frame in Frames::new(record) {
        let frame = frame?;
        if frame.len() > usize::from(shared.own.max_frame()) {
            return Err(WireError::Length.into());
        }
        let rate = Rate::per_second(1, VERIFIED_AT_ONCE);
        let may_verify = || verified.take(now_us, rate);
        requests.push(codec::parse(frame, client, may_verify)?);
    }
    Ok(())
}

/// What one read brought.
enum Asked {
    Requests(Vec<Request>),
    /// Frames for the relay that has the store.
    Frames(Vec<u8>),
}

impl Asked {
    fn is_empty(&self) -> bool {
        match self {
            Self::Requests(requests) => requests.is_empty(),
            Self::Frames(frames) => frames.is_empty(),
        }
    }
}

/// A client whose address the link proved.
struct Client {
    conn: ConnId,
    address: Address,
    sealer: Sealer,
    opener: Opener,
    /// What was read and is not a whole record yet; without capacity while nothing is.
    received: Vec<u8>,
    verified: Bucket,
    /// What is still to be told behind the welcome, where the client pins a former key.
    new_key: Option<Box<PublicKey>>,
}

impl Client {
    fn new(conn: ConnId, shaken: Shaken) -> (Self, PeerLimits) {
        let peer = shaken.transport.peer_limits();
        let limits = PeerLimits {
            max_record: peer.max_record(),
            max_frame: peer.max_frame(),
            window: peer.window(),
        };
        let (sealer, opener) = shaken.transport.split();
        let client = Self {
            conn,
            address: shaken.address,
            sealer,
            opener,
            received: Vec::new(),
            verified: Bucket::default(),
            new_key: shaken.new_key.map(Box::new),
        };
        (client, limits)
    }

    async fn run(
        &mut self,
        stream: &mut impl Socket,
        shared: &Shared,
        inputs: &mpsc::Sender<Input>,
        outbox: &Outbox,
    ) -> Result<(), Fault> {
        let silence = sleep(shared.limits.idle_timeout);
        tokio::pin!(silence);
        loop {
            let (mut answers, end) = outbox.take();
            // The first that comes begins with the welcome, which has to be first, or turns the client
            // away. PROTOCOL 3.9
            if !answers.is_empty()
                && let Some(key) = self.new_key.take()
            {
                answers.push_back(Answer::RelayKey(key));
            }
            self.write(stream, answers, shared, outbox).await?;
            outbox.written();
            match end {
                Some(End::Overflow) => return Err(Fault::Slow),
                Some(End::Orderly) => return Box::pin(linger(stream)).await,
                None => {}
            }

            tokio::select! {
                biased;
                () = outbox.changed() => {}
                asked = poll_fn(|cx| self.poll_read(cx, stream, shared)) => {
                    let Some(asked) = asked? else { return Ok(()) };
                    if !asked.is_empty() {
                        // Silent is who sends no whole request.
                        silence.as_mut().reset(Instant::now() + shared.limits.idle_timeout);
                        let handed_over = match asked {
                            Asked::Frames(frames) => tell(inputs, Input::Asked(self.conn, frames)).await,
                            Asked::Requests(requests) if requests.len() <= REQUESTS => {
                                tell(inputs, Input::Requests(self.conn, requests)).await
                            }
                            Asked::Requests(requests) => {
                                Box::pin(hand_over(self.conn, requests, inputs)).await
                            }
                        };
                        if handed_over.is_err() {
                            return Ok(());
                        }
                    } else if let Asked::Requests(none) = asked {
                        spare::give_back(none);
                    }
                }
                () = &mut silence => return Err(Fault::Slow),
            }
        }
    }

    /// Reads what is there, when there is something: the whole requests in it, or `None` at the stream's end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut impl Socket,
        shared: &Shared,
    ) -> Poll<Result<Option<Asked>, Fault>> {
        READING.with_borrow_mut(|lent| {
            let kept = self.received.len();
            let all = kept + READ;
            if lent.len() < all {
                lent.resize(all, 0);
            }
            let (bytes, _) = lent.split_at_mut(all);
            let (before, room) = bytes.split_at_mut(kept);
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(stream).poll_read(cx, &mut room))?;
            let count = room.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            before.copy_from_slice(&self.received);
            let bytes = bytes.get_mut(..kept + count).unwrap_or_default();
            Poll::Ready(self.asked(bytes, shared).map(Some))
        })
    }

    /// The whole requests in `bytes`; the rest is kept.
    fn asked(&mut self, bytes: &mut [u8], shared: &Shared) -> Result<Asked, Fault> {
        let mut asked = match shared.passes_on {
            true => Asked::Frames(Vec::new()),
            false => Asked::Requests(spare::lend()),
        };
        let mut taken = 0;
        while let Some(rest) = bytes.get_mut(taken..) {
            let Scan::Whole(len) = scan(rest, Bounds::records(&shared.own))? else {
                break;
            };
            let record = rest
                .get_mut(HEAD_ROOM..HEAD_ROOM + len)
                .ok_or(RecordError::Buffer)?;
            let record = self.opener.open(record)?;
            match &mut asked {
                Asked::Frames(frames) => frames.extend_from_slice(record),
                Asked::Requests(requests) => {
                    let (client, verified) = (&self.address, &mut self.verified);
                    requests_of(record, client, shared, verified, requests)?;
                }
            }
            taken += HEAD_ROOM + len;
        }
        self.keep(bytes.get(taken..).unwrap_or_default());
        Ok(asked)
    }

    /// Keeps what is no whole record yet.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.received = Vec::new();
        } else {
            self.received.clear();
            self.received.extend_from_slice(rest);
        }
    }

    /// Writes the answers, as many to a record and to a write as fit.
    async fn write(
        &mut self,
        stream: &mut impl Socket,
        mut answers: VecDeque<Answer>,
        shared: &Shared,
        outbox: &Outbox,
    ) -> Result<(), Fault> {
        while !answers.is_empty() {
            let rest = WRITING.with_borrow_mut(|out| {
                out.clear();
                while !answers.is_empty() && out.len() < WRITE {
                    self.seal(&mut answers, out)?;
                }
                let written = stream.try_write_all(out)?;
                let rest = out.get(written..).unwrap_or_default().to_vec();
                shrink(out);
                Ok::<_, Fault>(rest)
            })?;
            if !rest.is_empty() {
                let patience = shared.limits.write_timeout;
                Box::pin(write_slowly(stream, &rest, patience, outbox)).await?;
            }
        }
        spare::give_back(answers);
        Ok(())
    }

    /// Appends one record with as many of the answers as it holds.
    fn seal(&mut self, answers: &mut VecDeque<Answer>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let most = self.sealer.max_plaintext();
        let sizes = answers
            .iter()
            .map(|answer| frame::PREFIX_LEN + codec::max_len(answer));
        let fitting = sizes.scan(0, |sum, size| {
            *sum += size;
            (*sum <= most).then_some(*sum)
        });
        // An answer that may be too long alone is tried all the same.
        let room = fitting.last().unwrap_or(most);

        let start = out.len();
        out.resize(start + HEAD_ROOM + room + TAIL_ROOM, 0);
        let record = out.get_mut(start..).unwrap_or_default();
        let plaintext = record
            .get_mut(HEAD_ROOM..HEAD_ROOM + room)
            .unwrap_or_default();
        let mut len = 0;
        while let Some(answer) = answers.front() {
            let Ok(longer) = frame::append(plaintext, len, |room| codec::emit(answer, room)) else {
                break;
            };
            len = longer;
            answers.pop_front();
        }
        if len == 0 {
            // The client's records cannot hold it. It said so itself.
            answers.pop_front();
            out.truncate(start);
            return Ok(());
        }
        let sealed = self.sealer.seal(record, len)?;
        out.truncate(start + sealed);
        Ok(())
    }
}

/// A buffer that a thread's connections lend to one another stays as large as an ordinary one.
fn shrink(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(2 * WRITE);
}

/// Writes what the stream did not take at once.
async fn write_slowly(
    stream: &mut impl Socket,
    bytes: &[u8],
    patience: Duration,
    outbox: &Outbox,
) -> Result<(), Fault> {
    let write = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    tokio::select! {
        written = timeout(patience, write) => written.map_err(|_| Fault::Slow)??,
        () = outbox.overflowed() => return Err(Fault::Slow),
    }
    outbox.ring();
    Ok(())
}

/// Says that nothing more comes, and lets the client hang up first.
async fn linger(stream: &mut impl Socket) -> Result<(), Fault> {
    let mut scrap = [0; 256];
    // A coat says goodbye by bytes of its own: it waits for room as long as the client lets it.
    let ended = async {
        stream.shutdown().await?;
        while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
        Ok(())
    };
    // A client that does not hang up loses nothing but the wait.
    timeout(LINGER, ended).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use hushwire_core::wire::EnvelopeId;
    use tokio::io::{BufStream, duplex};

    use super::*;
    use crate::allowance::Allowance;
    use crate::outbox::Capacity;
    use crate::socket::Buffered;

    /// A client that reads nothing keeps no connection by it, whatever its coat still has to say.
    #[cfg(feature = "websocket")]
    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_no_goodbye() {
        let (near, far) = duplex(4096);
        let (near, far) = tokio::join!(
            hushwire_websocket::accept(near),
            hushwire_websocket::connect(far, "localhost:80")
        );
        let (mut near, _far) = (
            Buffered::new(near.unwrap(), Allowance::default()),
            far.unwrap(),
        );
        // As much as the network takes: 4 bytes of head, and what follows in small messages.
        for len in [4000, 80, 4] {
            let message = vec![7; len];
            timeout(LINGER, near.write_all(&message))
                .await
                .unwrap()
                .unwrap();
            timeout(LINGER, near.flush()).await.unwrap().unwrap();
        }
        let began = Instant::now();
        linger(&mut near).await.unwrap();
        assert_eq!(began.elapsed(), LINGER);
    }

    #[tokio::test]
    async fn what_is_answered_during_a_slow_write_is_not_left_behind() {
        let (mut far, near) = duplex(16);
        let mut near = Buffered::new(BufStream::new(near), Allowance::default());
        let outbox = Outbox::default();
        let patience = Duration::from_secs(10);
        let write = write_slowly(&mut near, &[7; 100], patience, &outbox);
        let read = async {
            // The writer waits for room by now, and hears the bell that is meant for its caller.
            tokio::task::yield_now().await;
            outbox.append(
                &mut [Answer::Accepted(EnvelopeId([1; 16]))].into(),
                Capacity::UNBOUNDED,
            );
            tokio::task::yield_now().await;
            far.read_exact(&mut [0; 100]).await
        };
        let (written, read) = tokio::join!(write, read);
        written.unwrap();
        read.unwrap();
        timeout(patience, outbox.changed()).await.unwrap();
        assert_eq!(outbox.take().0.len(), 1);
    }
}
