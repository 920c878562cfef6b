//! The one thread that drives the endpoint: it owns the vault, and waits for the disk so that no
//! task of the host program has to.
//!
//! ```text
//! links ──records──┐                    ┌──records──> links
//! client ──calls───┴─> Driver: Endpoint ┴──signals──> listeners
//!                         over Vault
//! ```

mod moves;
mod pump;
mod requests;

use std::{collections::BTreeMap, time::Duration};

use hushwire_core::{
    crypto::Software,
    endpoint::{Config, Cx, Endpoint, EndpointError},
    identity::{Address, SoftwareIdentity},
    limits::{HOST_MAX_SKIP, MAX_BODY},
    storage::Event,
    wire::{MessageId, reason::Reason},
};
use tokio::sync::{broadcast, mpsc, watch};

use crate::{
    error::Error,
    events,
    net::{LinkError, LinkInput},
    vault::{HOME, Happening, OsRng, State, Vault, VaultError},
};
pub(crate) use moves::{Move, Moves};
use pump::LinkSlot;
pub(crate) use requests::Response;

/// One-time prekeys on offer.
const ONE_TIME: usize = 100;

type HostEndpoint = Endpoint<SoftwareIdentity, Software, HOST_MAX_SKIP, ONE_TIME>;

/// What the driver takes in.
pub(crate) enum Input {
    /// Something to do between two steps of the endpoint.
    Call(Box<dyn FnOnce(&mut Driver) + Send>),
    /// From a link's task; of another generation than the one that is up, it is of the past.
    Link {
        link: u8,
        generation: u64,
        input: LinkInput,
    },
    /// The last one.
    Stop,
}

/// What the driver tells whoever listens. Only what was committed.
#[derive(Clone, Debug)]
pub(crate) enum Signal {
    /// There is a message of this number.
    Message,
    /// A message's state changed.
    State {
        to: Address,
        id: MessageId,
        state: State,
        reason: Option<Reason>,
    },
    /// A peer has no bundle at its relay.
    NoBundle(Address),
    /// Something that the user should know.
    Alarm(String),
}

/// How the links are, by number.
pub(crate) type LinkStates = BTreeMap<u8, Result<(), LinkError>>;

/// See the module.
pub(crate) struct Driver {
    pub(crate) vault: Vault,
    endpoint: Box<HostEndpoint>,
    rng: OsRng,
    links: BTreeMap<u8, LinkSlot>,
    requests: requests::Requests,
    signals: broadcast::Sender<Signal>,
    states: watch::Sender<LinkStates>,
    moves: watch::Sender<Moves>,
    /// Room for the largest frame and the largest body.
    out: Vec<u8>,
    /// The vault failed and could not be read again.
    broken: bool,
}

const fn config() -> Config {
    Config {
        max_body: MAX_BODY as u16,
        accept_strangers: true,
        home: HOME,
    }
}

fn start(vault: &mut Vault) -> Result<Box<HostEndpoint>, Error> {
    let identity = SoftwareIdentity::from_seed(&mut Software, &*vault.seed()?)
        .map_err(|_| Error::Internal("the identity does not grow from its seed"))?;
    let damaged = |_| VaultError::damaged("the prekeys do not decode");
    if let Some(own) = vault.prekeys()? {
        let loaded = Endpoint::load(identity, Software, config(), &own).map_err(damaged)?;
        return Ok(Box::new(loaded));
    }
    let now = vault.now();
    let mut cx = Cx {
        store: vault,
        rng: &mut OsRng::default(),
        now,
    };
    match Endpoint::new(identity, Software, config(), &mut cx) {
        Ok(endpoint) => Ok(Box::new(endpoint)),
        Err(EndpointError::Storage(error)) => Err(error.into()),
        Err(_) => Err(Error::Internal("no prekeys could be made")),
    }
}

impl Driver {
    pub(crate) fn new(
        mut vault: Vault,
        signals: broadcast::Sender<Signal>,
        states: watch::Sender<LinkStates>,
        moves: watch::Sender<Moves>,
    ) -> Result<Self, Error> {
        let endpoint = start(&mut vault)?;
        Ok(Self {
            vault,
            endpoint,
            rng: OsRng::default(),
            links: BTreeMap::new(),
            requests: requests::Requests::default(),
            signals,
            states,
            moves,
            out: vec![0; crate::net::MAX_FRAME + MAX_BODY],
            broken: false,
        })
    }

    pub(crate) fn endpoint(&self) -> &HostEndpoint {
        &self.endpoint
    }

    /// Puts a message into the outbox.
    pub(crate) fn send(&mut self, to: &Address, body: &[u8]) -> Result<MessageId, Error> {
        use hushwire_core::endpoint::SendError;
        let now = self.vault.now();
        let mut cx = Cx {
            store: &mut self.vault,
            rng: &mut self.rng,
            now,
        };
        self.endpoint.send(&mut cx, to, body).map_err(|error| {
            let name = events::name(&self.vault, to);
            match error {
                SendError::TooLarge => Error::TooLarge(name),
                SendError::UnknownContact => Error::UnknownContact(name),
                SendError::Blocked => Error::Blocked(name),
                SendError::OutboxFull => Error::OutboxFull,
                SendError::Storage(error) => {
                    let sentence = Error::Vault(error);
                    self.recover();
                    sentence
                }
            }
        })
    }

    /// Until the client stops. Puts the vault to rest at the end.
    pub(crate) async fn run(mut self, mut input: mpsc::Receiver<Input>) {
        const AT_ONCE: usize = 64;
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            let pause = self.pause();
            tokio::select! {
                got = input.recv_many(&mut batch, AT_ONCE) => if got == 0 { break },
                () = tokio::time::sleep(pause) => {}
            }
            let mut stopping = false;
            for input in batch.drain(..) {
                match input {
                    Input::Call(call) => call(&mut self),
                    Input::Link {
                        link,
                        generation,
                        input,
                    } => {
                        self.handle_link(link, generation, input);
                    }
                    Input::Stop => stopping = true,
                }
            }
            self.pump();
            self.publish();
            if stopping || self.broken {
                break;
            }
        }
        input.close();
        if !self.broken
            && let Err(error) = self.vault.rest()
        {
            tracing::error!("the vault could not be put to rest: {error}");
        }
    }

    /// How long nothing can happen by itself.
    fn pause(&mut self) -> Duration {
        const IDLE: Duration = Duration::from_secs(3600);
        // Something is due and has no room on the link yet: its answer wakes us, or this.
        const CROWDED: Duration = Duration::from_millis(50);
        let now = self.vault.now();
        let mut cx = Cx {
            store: &mut self.vault,
            rng: &mut self.rng,
            now,
        };
        match self.endpoint.poll_timeout(&mut cx) {
            Ok(Some(due)) => Duration::from_millis(due.saturating_sub(now)).clamp(CROWDED, IDLE),
            _ => IDLE,
        }
    }

    /// Tells what commits have made true.
    fn publish(&mut self) {
        for happening in self.vault.take_happenings() {
            let signal = match happening {
                Happening::Message(_) => Signal::Message,
                Happening::Event(event) => match self.signal(&event) {
                    Some(signal) => signal,
                    None => continue,
                },
            };
            // Nobody listens: whoever comes later reads the vault.
            let _ = self.signals.send(signal);
        }
    }

    fn signal(&self, event: &Event) -> Option<Signal> {
        let state = |to: &Address, id: &MessageId, state, reason| {
            Some(Signal::State {
                to: *to,
                id: *id,
                state,
                reason,
            })
        };
        match event {
            Event::Accepted { to, id } => state(to, id, State::Accepted, None),
            Event::Delivered { to, id } => state(to, id, State::Delivered, None),
            Event::Delayed { to, id, reason } => state(to, id, State::Queued, Some(*reason)),
            Event::Failed { to, id, reason } => state(to, id, State::Failed, *reason),
            Event::NoBundle { peer } => Some(Signal::NoBundle(*peer)),
            other => events::sentence(&self.vault, other).map(Signal::Alarm),
        }
    }

    /// The vault failed: begin again from what was committed. Links are made anew.
    fn recover(&mut self) {
        self.links.clear();
        let again = self.vault.roll_back().map_err(Error::from);
        match again.and_then(|()| start(&mut self.vault)) {
            Ok(endpoint) => self.endpoint = endpoint,
            Err(error) => {
                tracing::error!("the vault cannot be used any more: {error}");
                let _ = self.signals.send(Signal::Alarm(error.to_string()));
                self.broken = true;
            }
        }
    }

    pub(super) fn set_state(&self, link: u8, state: Result<(), LinkError>) {
        self.states.send_modify(|states| {
            states.insert(link, state);
        });
    }
}
