//! A stranger becomes a client: the preamble and three messages, each of one length only.

use std::num::NonZero;
#[cfg(any(feature = "tls", test))]
use std::{future::poll_fn, pin::pin, task::Poll};
use std::{io, thread};

use hushwire_core::crypto::{PublicKey, Software};
use hushwire_core::identity::Address;
use hushwire_core::link::{
    Bounds, FLIGHT_2_LEN, HEAD_ROOM, HandshakeError, LinkLimits, MESSAGE_1_LEN, MESSAGE_3_LEN,
    OpenError, PREAMBLE_LEN, PreambleError, ReceivedMessage1, RecordError, Responder, SealError,
    Transport, scan,
};
use hushwire_core::wire::WireError;
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::key::RelayKey;
use crate::rotation::unix_now_s;
use crate::socket::Socket;

/// Why a connection ended by the peer's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the network failed: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Frame(#[from] WireError),
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error("it was silent or slow for too long")]
    Slow,
}

/// A stranger that became a client.
pub(crate) struct Shaken {
    pub(crate) transport: Transport,
    pub(crate) address: Address,
    /// The relay's present key, where the client pins one that the relay had before.
    pub(crate) new_key: Option<PublicKey>,
}

/// Who may compute. A message of a stranger costs the relay a thousand times what it costs the stranger: so
/// strangers take turns, and between two of them everybody else has one.
pub(crate) struct Turns(Semaphore);

impl Turns {
    /// For half of the machine's cores at a time, and one at least.
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self(Semaphore::new((cores / 2).max(1)))
    }

    /// Runs `work` when it is its turn.
    async fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        // It is never closed.
        let _turn = self.0.acquire().await;
        // Whoever waited is woken ahead of others: those first.
        yield_now().await;
        work()
    }

    /// Runs `work`, which waits for a stranger now and then, in turns: one for each time that it goes on.
    #[cfg(any(feature = "tls", test))]
    pub(crate) async fn spread<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            let step = self.0.acquire().await;
            yield_now().await;
            if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
                return done;
            }
            drop(step);
            // It has left word of when it goes on.
            let mut is_woken = false;
            poll_fn(|_| match std::mem::replace(&mut is_woken, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        }
    }
}

/// `own` is what the relay takes, as every handshake says.
pub(crate) async fn shake_hands(
    stream: &mut impl Socket,
    key: &RelayKey,
    own: LinkLimits,
    turns: &Turns,
) -> Result<Shaken, Fault> {
    let mut preamble = [0; PREAMBLE_LEN];
    stream.read_exact(&mut preamble).await?;
    Responder::greet(&preamble)?;

    let message: [u8; MESSAGE_1_LEN] = read_message(stream).await?;
    let mut flight = [0; FLIGHT_2_LEN];
    let answer = || {
        let (received, meant) = read_message_1(&preamble, key, &message)?;
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let sent = received.write_message_2(&mut Software, rng, own, &mut flight)?;
        let new_key = (meant != key.current()).then_some(*key.current());
        Ok::<_, Fault>((sent, new_key))
    };
    let (sent, new_key) = turns.take(answer).await?;
    stream.write_all(&flight).await?;
    stream.flush().await?;

    let message: [u8; MESSAGE_3_LEN] = read_message(stream).await?;
    let read = || sent.read_message_3(&mut Software, &message);
    let (transport, identity) = turns.take(read).await?;
    Ok(Shaken {
        transport,
        address: identity.address(),
        new_key,
    })
}

/// Noise XK's first message does not say which static key the client means: its tag verifies under
/// that one alone. PROTOCOL 3.9
fn read_message_1<'a>(
    preamble: &[u8; PREAMBLE_LEN],
    key: &'a RelayKey,
    message: &[u8; MESSAGE_1_LEN],
) -> Result<(ReceivedMessage1, &'a PublicKey), Fault> {
    let mut refused = HandshakeError::Refused;
    for own in key.links(unix_now_s()) {
        let responder = Responder::greet(preamble)?;
        match responder.read_message_1(&mut Software, own, message) {
            Ok(received) => return Ok((received, own.public())),
            Err(error) => refused = error,
        }
        // Anything but a tag of another key is the client's fault under every key.
        if refused != HandshakeError::Refused {
            break;
        }
    }
    Err(refused.into())
}

async fn read_message<const LEN: usize>(stream: &mut impl Socket) -> Result<[u8; LEN], Fault> {
    let mut head = [0; HEAD_ROOM];
    stream.read_exact(&mut head).await?;
    scan(&head, Bounds::exactly(LEN))?;
    let mut message = [0; LEN];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;
    use tokio::task::LocalSet;

    use super::*;

    /// All of them are ready at once; whoever is connected already waits for one of them, not for all.
    #[tokio::test]
    async fn strangers_compute_one_after_the_other_with_others_in_between() {
        const STRANGERS: u32 = 100;
        let turns = Rc::new(Turns(Semaphore::new(1)));
        let (done, others) = (Rc::new(AtomicU32::new(0)), Rc::new(AtomicU32::new(0)));
        let local = LocalSet::new();
        for _ in 0..STRANGERS {
            let (turns, done) = (Rc::clone(&turns), Rc::clone(&done));
            local.spawn_local(async move {
                turns.take(|| done.fetch_add(1, Ordering::Relaxed)).await;
            });
        }
        let (seen, count) = (Rc::clone(&done), Rc::clone(&others));
        local.spawn_local(async move {
            while seen.load(Ordering::Relaxed) < STRANGERS {
                count.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        local.await;
        assert_eq!(done.load(Ordering::Relaxed), STRANGERS);
        let others = others.load(Ordering::Relaxed);
        assert!(others >= STRANGERS - 1, "{others} turns of another task");
    }

    /// A coat's handshake computes in turns, and holds none while it waits for the stranger.
    #[tokio::test]
    async fn what_waits_now_and_then_takes_a_turn_each_time_it_goes_on() {
        let turns = Turns(Semaphore::new(1));
        let (says, said) = oneshot::channel();
        let polls = AtomicU32::new(0);
        let mut said = pin!(said);
        let work = poll_fn(|cx| {
            assert_eq!(turns.0.available_permits(), 0, "without a turn");
            polls.fetch_add(1, Ordering::Relaxed);
            said.as_mut().poll(cx)
        });
        let others = async {
            let other = turns.0.acquire().await.unwrap();
            yield_now().await;
            let before = polls.load(Ordering::Relaxed);
            for _ in 0..10 {
                yield_now().await;
            }
            assert_eq!(
                polls.load(Ordering::Relaxed),
                before,
                "it is another's turn"
            );
            drop(other);
            while polls.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            // It waits for the stranger: everybody else has the turn.
            turns.take(|| ()).await;
            says.send(7).unwrap();
        };
        let (answer, ()) = tokio::join!(turns.spread(work), others);
        assert_eq!(answer.unwrap(), 7);
    }
}
