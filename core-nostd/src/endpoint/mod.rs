//! The whole device without its IO: frames and commands in, frames out, state to a [`Storage`].
//!
//! ```text
//!            handle_frame                       poll_transmit
//! relay ──> deliver ──> Session::open ──┐   ┌── acks (held until committed) ──> relay
//!            answers ──> outbox ────────┤   ├── publish, upload, fetch
//! app ──> send ──> outbox ──────────────┴─>─┴── Session::seal (commit where not reserved)
//! ```
//! A host's client and a firmware drive the same endpoint. It owns the identity, the prekeys and
//! what is volatile about links; everything else is the storage's. After a storage error it is
//! dropped and loaded again: nothing was released that rests on what was not committed.

mod answers;
mod deliver;
mod error;
mod links;
mod queue;
mod restart;
mod transmit;

use heapless::Vec;
use rand_core::CryptoRng;

pub use error::{EndpointError, SendError};
use queue::Queue;

use crate::{
    crypto::P256,
    evidence,
    identity::{Address, IdentityKeys, IdentityPublic},
    limits::{HOST_QUEUE, MAX_BODY, MAX_FETCHES, MAX_IN_FLIGHT, MAX_LINKS},
    peer::Standing,
    prekey::Prekeys,
    session::{Kind, Session, StateError},
    storage::{OutboxEntry, OutboxState, Storage},
    wire::{EnvelopeId, MessageId, answer::NoticeKind},
};

/// Settings of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Largest body that this side takes, in bytes: [`crate::limits::BASE_BODY`] for a device.
    pub max_body: u16,
    /// Whether somebody who is no contact may write first.
    pub accept_strangers: bool,
    /// The link whose relay gets one-time prekeys; the others get the bundle only.
    pub home: u8,
}

/// What is lent to every call.
#[derive(Debug)]
pub struct Cx<'a, S, R> {
    /// Where state lives.
    pub store: &'a mut S,
    /// Healthy randomness.
    pub rng: &'a mut R,
    /// Milliseconds on a clock that never goes back, restarts included.
    pub now: u64,
}

/// Whose business a frame was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The endpoint's: nothing is left to do.
    Mine,
    /// An answer to a request of the application's own.
    NotMine,
}

/// The first request number that the endpoint uses; those below are the application's.
pub const FIRST_NUMBER: u16 = 0x8000;

/// What waits to be told to a relay once its state is committed.
#[derive(Clone, Copy, Debug)]
enum Outgoing {
    Ack(EnvelopeId),
    Refuse(EnvelopeId),
    Noted(NoticeKind, Address, u32),
}

/// A submission whose answer is out.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    link: u8,
    envelope: EnvelopeId,
    to: Address,
    id: MessageId,
    /// When its message was to be sealed again: earlier, if something woke it since.
    due: u64,
}

/// Something that is asked of a relay once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Task {
    #[default]
    Idle,
    Wanted,
    Asked(u16),
    /// Refused for the moment: wanted again from then on.
    Later(u64),
}

impl Task {
    const fn is_due(self, now: u64) -> bool {
        match self {
            Self::Wanted => true,
            Self::Later(at) => now >= at,
            Self::Idle | Self::Asked(_) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    up: bool,
    publish: Task,
    upload: Task,
    /// The counter was raised for this link's relay already.
    outran: bool,
}

/// A bundle that is needed.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    address: Address,
    link: u8,
    task: Task,
    /// When it is given up, or may be asked for again.
    until: u64,
}

/// The device. `SKIP` kept keys a session, `N` one-time prekeys on offer; `QUEUE` acks and notices
/// that wait at once, and as many submissions and bundles asked for, over `LINKS` relays.
///
/// A host leaves the last two out. A device says [`crate::limits::DEVICE_QUEUE`] and the number of
/// its relays, never more than `QUEUE`.
#[derive(Debug)]
pub struct Endpoint<
    I,
    B,
    const SKIP: usize,
    const N: usize,
    const QUEUE: usize = HOST_QUEUE,
    const LINKS: usize = MAX_LINKS,
> {
    identity: I,
    p256: B,
    config: Config,
    address: Address,
    prekeys: Prekeys<N>,
    links: [Link; LINKS],
    outgoing: Queue<QUEUE, LINKS>,
    in_flight: Vec<InFlight, QUEUE>,
    fetches: Vec<Fetch, QUEUE>,
    /// Before then no further set of one-time prekeys is made: the sets before must live long enough.
    refill_after: u64,
    /// The prekeys' record is behind: a start was counted, or a spent one was found at boot.
    own_behind: bool,
    /// Something was staged that `commit` has not seen.
    dirty: bool,
    number: u16,
}

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    /// Submissions whose answer may be out at once, over all links.
    const IN_FLIGHT: usize = if QUEUE < MAX_IN_FLIGHT {
        QUEUE
    } else {
        MAX_IN_FLIGHT
    };

    /// Bundles that may be asked for at once, over all links.
    const FETCHES: usize = if QUEUE < MAX_FETCHES {
        QUEUE
    } else {
        MAX_FETCHES
    };

    /// First start: makes prekeys, and commits them.
    ///
    /// # Errors
    /// [`EndpointError`] where hardware or storage fails.
    pub fn new<S: Storage<SKIP>, R: CryptoRng>(
        identity: I,
        mut p256: B,
        config: Config,
        cx: &mut Cx<'_, S, R>,
    ) -> Result<Self, EndpointError<S::Error>> {
        let mut prekeys = Prekeys::generate(&mut p256, cx.rng, cx.now)?;
        prekeys.refill(&mut p256, cx.rng)?;
        cx.store
            .save_own(&prekeys)
            .map_err(EndpointError::Storage)?;
        cx.store.commit().map_err(EndpointError::Storage)?;
        Ok(Self::with(identity, p256, config, prekeys))
    }

    /// Later starts, from what [`Storage::save_own`] was given.
    ///
    /// Where commits are not atomic, call [`Self::reconcile`] for each stored session.
    ///
    /// # Errors
    /// [`StateError`] where the record does not decode.
    pub fn load(identity: I, p256: B, config: Config, own: &[u8]) -> Result<Self, StateError> {
        let mut prekeys = Prekeys::decode(own)?;
        prekeys.started();
        let mut endpoint = Self::with(identity, p256, config, prekeys);
        endpoint.own_behind = true;
        Ok(endpoint)
    }

    fn with(identity: I, p256: B, config: Config, prekeys: Prekeys<N>) -> Self {
        const {
            assert!(
                LINKS <= MAX_IN_FLIGHT && LINKS <= 32,
                "each link needs a submission of its own, and a bit of the storage's mask"
            );
        }
        let address = identity.public().address();
        Self {
            identity,
            p256,
            config,
            address,
            prekeys,
            links: [Link::default(); LINKS],
            outgoing: Queue::new(),
            in_flight: Vec::new(),
            fetches: Vec::new(),
            refill_after: 0,
            own_behind: false,
            dirty: false,
            number: FIRST_NUMBER,
        }
    }

    /// A stored session names the one-time prekey that it spent: wipe it, should a loss of power
    /// have come between the two records.
    pub fn reconcile(&mut self, spent: u32) {
        self.own_behind |= self.prekeys.spend(spent);
    }

    /// This device's address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// This device's public keys.
    #[must_use]
    pub fn identity(&self) -> &IdentityPublic {
        self.identity.public()
    }

    /// The identity and the backend, for a link's handshake.
    pub const fn hardware(&mut self) -> (&mut I, &mut B) {
        (&mut self.identity, &mut self.p256)
    }

    /// From now on, whether somebody who is no contact may write first.
    pub const fn accept_strangers(&mut self, accept: bool) {
        self.config.accept_strangers = accept;
    }

    /// Puts a message into the outbox and commits. It goes out when its link is up, and stays until
    /// its receipt.
    ///
    /// # Errors
    /// [`SendError`], which says what to do.
    pub fn send<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        to: &Address,
        body: &[u8],
    ) -> Result<MessageId, SendError<S::Error>> {
        let conversation = cx.store.conversation(to).map_err(SendError::Storage)?;
        let peer = &conversation.ok_or(SendError::UnknownContact)?.peer;
        if peer.standing == Standing::Blocked {
            return Err(SendError::Blocked);
        }
        let fits = |session: &Session<SKIP>| session.sealed_len(body.len()).is_some();
        let taken = peer.session.as_ref().map_or(body.len() <= MAX_BODY, fits);
        // What is larger than this side's own bodies has no room in its buffers.
        if !taken || body.len() > usize::from(self.config.max_body) {
            return Err(SendError::TooLarge);
        }
        let link = peer.link;
        let mut id = MessageId([0; MessageId::LEN]);
        // The endpoint's own messages have small ids: a random one is theirs with chance 2^-120.
        cx.rng.fill_bytes(&mut id.0);
        let entry = queued(*to, id, Kind::DATA, link, cx.now);
        if !cx.store.push(&entry, body).map_err(SendError::Storage)? {
            return Err(SendError::OutboxFull);
        }
        self.commit(cx).map_err(|error| match error {
            EndpointError::Storage(error) => SendError::Storage(error),
            _ => SendError::OutboxFull,
        })?;
        Ok(id)
    }

    /// Commits what was staged and releases what waited for it.
    fn commit<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
    ) -> Result<(), EndpointError<S::Error>> {
        let queue = &mut self.outgoing;
        evidence::after(cx.store, S::commit, |_, persisted| queue.release(persisted))
            .map_err(EndpointError::Storage)?;
        self.dirty = false;
        Ok(())
    }

    /// Holds something back until the next commit.
    fn hold<E>(&mut self, link: u8, outgoing: Outgoing) -> Result<(), EndpointError<E>> {
        self.dirty = true;
        if self.outgoing.hold(link, outgoing) {
            Ok(())
        } else {
            Err(EndpointError::Busy)
        }
    }

    fn next_number(&mut self) -> u16 {
        let number = self.number;
        self.number = number.checked_add(1).unwrap_or(FIRST_NUMBER);
        number
    }
}

/// Takes one out of a list and keeps the order of the others. `Vec::remove` has a panic path.
fn drop_at<T, const N: usize>(list: &mut Vec<T, N>, at: usize) {
    let mut places = 0..;
    list.retain(|_| places.next() != Some(at));
}

/// A message that no relay has yet.
const fn queued(to: Address, id: MessageId, kind: Kind, link: u8, due: u64) -> OutboxEntry {
    OutboxEntry {
        to,
        id,
        kind,
        link,
        state: OutboxState::Queued,
        due,
        attempts: 0,
    }
}

/// The id of the endpoint's own messages of a kind: there is at most one of each to a peer.
const fn own_id(kind: Kind) -> MessageId {
    let mut id = [0; MessageId::LEN];
    let [.., last] = &mut id;
    *last = kind.0;
    MessageId(id)
}
