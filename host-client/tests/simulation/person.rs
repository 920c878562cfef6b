//! Somebody on the simulated network: core's endpoint on storage that loses power, and an
//! application that writes now and then.

use std::{cell::RefCell, rc::Rc, time::Duration};

use hushwire_core::{
    crypto::PublicKey,
    endpoint::{Cx, EndpointError},
    identity::Address,
    storage::Storage as _,
};
use rand_chacha::rand_core::Rng as _;
use tokio::time::{Instant, sleep};

use crate::{
    common::node::{LINK, Node},
    link::{Broken, Link},
    relay,
};

/// How often the application and the endpoint's own time-outs get their turn.
const TURN: Duration = Duration::from_millis(200);
/// Milliseconds; endpoints take any clock that does not go back.
const EPOCH_MS: u64 = 1_000_000;

/// Outlives crashes: what a crash takes away is taken from `node` by `lose_power`.
pub(crate) struct Person {
    pub(crate) node: Node,
    pub(crate) seed: u8,
    pub(crate) friends: Vec<Address>,
    /// Bodies that the application still wants to send, the last one first.
    pub(crate) wanted: Vec<(Address, Vec<u8>)>,
    /// Of those, what storage took: the endpoint's promise.
    pub(crate) promised: Vec<(Address, Vec<u8>)>,
    pub(crate) power_cuts: u64,
}

pub(crate) type Shared = Rc<RefCell<Person>>;

/// A machine that runs until it crashes.
pub(crate) async fn run(person: Shared, key: PublicKey) -> turmoil::Result {
    loop {
        // Why it ended does not matter: the relay is tried again.
        let _ = connected(&person, key).await;
        let pause = {
            let mut person = person.borrow_mut();
            person.application();
            person.disconnected();
            Duration::from_millis(200 + u64::from(person.node.rng.next_u32() % 2_000))
        };
        sleep(pause).await;
    }
}

async fn connected(person: &Shared, key: PublicKey) -> Result<(), Broken> {
    let (identity, mut rng) = {
        let mut person = person.borrow_mut();
        person.application();
        (
            Node::identity(person.seed),
            crate::common::rng(person.node.rng.next_u64()),
        )
    };
    let mut link = Link::open(relay::AUTHORITY, key, identity, &mut rng).await?;
    loop {
        let frames = link.receive(Instant::now() + TURN).await?;
        let mut out = Vec::new();
        {
            let mut person = person.borrow_mut();
            person.application();
            for mut frame in frames {
                person.handle(&mut frame, &mut out)?;
            }
            person.transmit(&mut out)?;
        }
        for frame in out {
            link.send(&frame).await?;
        }
        link.ping().await?;
    }
}

impl Person {
    fn with<T>(&mut self, call: impl FnOnce(&mut Node, u64) -> T) -> T {
        let elapsed = turmoil::sim_elapsed().expect("inside the simulation");
        let now = EPOCH_MS + elapsed.as_millis() as u64;
        call(&mut self.node, now)
    }

    /// Sends one of the bodies, some of the time. Nothing is promised before it is committed.
    fn application(&mut self) {
        if !self.node.rng.next_u32().is_multiple_of(8) {
            return;
        }
        let Some((to, body)) = self.wanted.pop() else {
            return;
        };
        let sent = self.with(|node, now| {
            let Node {
                device, store, rng, ..
            } = node;
            let sent = device.send(&mut Cx { store, rng, now }, &to, &body).is_ok();
            sent && store.commit().is_ok()
        });
        if sent {
            self.promised.push((to, body));
        } else {
            // Full, or the power went. The application does not know, and does not try again.
            self.lose_power_where_it_went();
        }
    }

    fn lose_power_where_it_went(&mut self) {
        if matches!(self.node.store.fail_commit, Some((0, _))) {
            self.power_cuts += 1;
            self.node.lose_power(0);
        }
    }

    fn handle(&mut self, frame: &mut [u8], out: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
        for _ in 0..8 {
            let handled = self.with(|node, now| {
                let Node {
                    device, store, rng, ..
                } = node;
                device.handle_frame(&mut Cx { store, rng, now }, LINK, frame)
            });
            match handled {
                Err(EndpointError::Busy) => self.transmit(out)?,
                other => return self.unless_broken(other).map(drop),
            }
        }
        Err("busy for ever".into())
    }

    fn transmit(&mut self, out: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
        let mut frame = vec![0; 20_000];
        for _ in 0..200 {
            let next = self.with(|node, now| {
                let Node {
                    device, store, rng, ..
                } = node;
                device.poll_transmit(&mut Cx { store, rng, now }, LINK, &mut frame)
            });
            match self.unless_broken(next)? {
                Some(len) => out.push(frame[..len].to_vec()),
                None => break,
            }
        }
        Ok(())
    }

    fn unless_broken<T, E: std::fmt::Debug>(
        &mut self,
        result: Result<T, EndpointError<E>>,
    ) -> Result<T, Broken> {
        result.map_err(|error| {
            self.lose_power_where_it_went();
            format!("{error:?}").into()
        })
    }

    fn disconnected(&mut self) {
        let down = self.with(|node, now| {
            let Node {
                device, store, rng, ..
            } = node;
            device
                .disconnected(&mut Cx { store, rng, now }, LINK)
                .is_ok()
        });
        if !down {
            self.lose_power_where_it_went();
        }
    }

    /// The machine is gone at once; of what was staged, a part was written.
    pub(crate) fn crash(&mut self, keep: usize) {
        self.power_cuts += 1;
        self.node.lose_power(keep);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.wanted.is_empty() && self.node.store.outbox().next().is_none()
    }
}
