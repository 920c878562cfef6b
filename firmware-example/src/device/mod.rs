//! [`Device`]: everything that a device is, without a socket, a console or a clock of its own.
//!
//! ```text
//! console lines ──execute──┐               ┌── log lines ──> console
//!                          v               │
//!   bytes of the link ──> Device: Link ─ Endpoint ─ FlashStore ──> flash
//!   milliseconds ──poll──> │    inbox: commands of contacts ──> lamp, sensor
//!                          └──> bytes for the link
//! ```
//! It is built anew from flash at each start and after each failure of the flash: nothing that was
//! released rests on what was not committed. The app drives it over embassy-net, tests over anything.
//!
//! What is `inline(never)` needs buffers that would else be on the stack while a session starts.

mod boot;
mod decision;
mod desk;
mod down;
mod inbox;
mod link;
mod wire;

use core::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use hushwire_core::{
    endpoint::{Cx, Endpoint, EndpointError},
    identity::SoftwareIdentity,
    limits::DEVICE_QUEUE,
};
use hushwire_flash::{Boot, Cause, FlashError, FlashStore, Tables, Wipe};

use crate::{
    CONTACTS, MAX_BODY, OUTBOX, PREKEYS, SKIP,
    board::{Entropy, Keeper, Lamp, Panel},
    clock::Clock,
    curve::Curve,
    entropy::{Generator, Random},
    lamp::{Mood, lamp},
    log::Log,
    settings::{Network, Settings},
};

pub use down::Down;
use link::Link;
pub use wire::Wire;

/// Pause between two looks at the source of noise, in milliseconds.
const NOISE_EVERY: u64 = 10 * 60 * 1000;
/// The same while it is sick.
const NOISE_SOON: u64 = 10 * 1000;
/// The longest that [`Device::poll`] is not called, in milliseconds.
const LONGEST_PAUSE: u64 = 10_000;
/// The shortest, where something is due and has no room.
const SHORTEST_PAUSE: u64 = 50;

type Store<'a, F, E> = FlashStore<'a, &'a mut F, Random<'a, E>, SKIP, CONTACTS, OUTBOX>;
type DeviceEndpoint = Endpoint<SoftwareIdentity, Curve, SKIP, PREKEYS, DEVICE_QUEUE, 1>;

/// The large parts of a device's memory, usually a `static`: nothing but zeros before the first boot,
/// so that it costs no flash.
#[derive(Debug)]
pub struct Memory {
    tables: Tables<SKIP, CONTACTS, OUTBOX>,
    /// These three are made at boot.
    endpoint: Place<DeviceEndpoint>,
    link: Place<Link>,
    settings: Place<Settings>,
    wire: Wire,
}

impl Memory {
    /// Nothing in it yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tables: Tables::new(),
            endpoint: Place::new(),
            link: Place::new(),
            settings: Place::new(),
            wire: Wire::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for one thing, all zeros while it is empty.
#[derive(Debug)]
struct Place<T>(Vec<T, 1>);

impl<T> Place<T> {
    const fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    fn fill(&mut self, value: T) -> &mut T {
        self.0.clear();
        // There is room: it was just made.
        let _ = self.0.push(value);
        &mut self.0[0]
    }
}

/// What a device is built from: the board's parts, lent for one life.
#[derive(Debug)]
pub struct Parts<'a, F, E, K, P> {
    /// The board's.
    pub name: &'static str,
    /// The region of the state.
    pub flash: &'a mut F,
    /// How spent keys are made unreadable on it.
    pub wipe: Wipe,
    /// A healthy generator.
    pub generator: &'a RefCell<Generator<E>>,
    /// The storage key.
    pub keeper: &'a mut K,
    /// Lamp and sensor.
    pub panel: &'a mut P,
    /// What happened.
    pub log: &'a mut Log,
    /// Tables and buffers.
    pub memory: &'a mut Memory,
}

/// Why a device does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The keeper takes no key.
    Keeper,
    /// The flash fails, or is too small.
    Flash,
    /// The flash holds no identity that this device can open: only a reset helps.
    Pairing(Cause),
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The flash failed: begin again from what was committed.
    Reload,
    /// The owner wants a restart.
    Restart,
    /// The owner wants everything forgotten.
    Reset,
}

/// See the module.
#[derive(Debug)]
pub struct Device<'a, F: NorFlash, E, K, P> {
    name: &'static str,
    generator: &'a RefCell<Generator<E>>,
    keeper: &'a mut K,
    panel: &'a mut P,
    log: &'a mut Log,
    wire: &'a mut Wire,
    body: Body<'a, F, E>,
    /// What the image was found to be.
    boot: Option<Boot>,
    settings: &'a mut Settings,
    link: &'a mut Link,
    lit: bool,
    /// The message whose effect is in the world, and whose answer waits for room.
    served: Option<hushwire_core::wire::MessageId>,
    telemetry_at: u64,
    telemetry: inbox::Telemetry,
    noise_at: u64,
    ip: Option<core::net::Ipv4Addr>,
    end: Option<End>,
    /// The last poll left something undone.
    more: bool,
}

/// What works of a device.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it stays where it is"
)]
enum Body<'a, F: NorFlash, E> {
    Alive(Alive<'a, F, E>),
    /// The image is of no use; the store can still be reset.
    Closed(Store<'a, F, E>, Cause),
    Broken(Fault),
}

#[derive(Debug)]
struct Alive<'a, F: NorFlash, E> {
    endpoint: &'a mut DeviceEndpoint,
    store: Store<'a, F, E>,
    random: Random<'a, E>,
    clock: Clock,
}

impl<'a, F: NorFlash, E> Alive<'a, F, E> {
    /// The endpoint, and what is lent to its calls.
    fn split(
        &mut self,
        uptime: u64,
    ) -> (&mut DeviceEndpoint, Cx<'_, Store<'a, F, E>, Random<'a, E>>) {
        let now = self.clock.at(uptime);
        self.store.set_clock(now);
        let cx = Cx {
            store: &mut self.store,
            rng: &mut self.random,
            now,
        };
        (self.endpoint, cx)
    }
}

/// What stops a step.
#[derive(Debug)]
enum Stop {
    /// The flash, or this build: the device is loaded again.
    Reload(&'static str),
    /// The relay: the link is closed.
    Link(Down),
}

impl<E> From<EndpointError<FlashError<E>>> for Stop {
    fn from(error: EndpointError<FlashError<E>>) -> Self {
        match error {
            EndpointError::Storage(error) => error.into(),
            // Whatever waits is transmitted before the next frame: what is too much all the same is
            // the relay's doing.
            EndpointError::Wire(_) | EndpointError::Busy => Self::Link(Down::Protocol),
            EndpointError::Crypto(_) => Self::Reload("cryptography failed"),
            EndpointError::Buffer => Self::Reload("a buffer is too small"),
        }
    }
}

impl<E> From<FlashError<E>> for Stop {
    fn from(error: FlashError<E>) -> Self {
        Self::Reload(match error {
            FlashError::Flash(_) => "the flash failed",
            FlashError::Damaged => "the flash does not hold what it should",
            FlashError::Full => "the flash is full",
            _ => "the store refused",
        })
    }
}

impl<'a, F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'a, F, E, K, P> {
    /// Does whatever is to be done at `uptime` (milliseconds since power on). Call it after each
    /// input, and when [`Self::pause`] has passed.
    pub fn poll(&mut self, uptime: u64) {
        if uptime >= self.noise_at {
            self.test_noise(uptime);
        }
        if self.is_sick() || self.end.is_some() {
            return;
        }
        match self.step(uptime) {
            Ok(()) => {}
            Err(Stop::Link(down)) => self.close(uptime, down),
            Err(Stop::Reload(why)) => {
                self.log.note(
                    uptime,
                    format_args!("fault: {why}; starting again from flash"),
                );
                self.end = Some(End::Reload);
            }
        }
        self.tell(uptime);
    }

    fn step(&mut self, uptime: u64) -> Result<(), Stop> {
        let Body::Alive(alive) = &mut self.body else {
            return Ok(());
        };
        if alive.clock.is_due() {
            alive.store.flush()?;
        }
        self.pump(uptime)
    }

    /// Milliseconds until [`Self::poll`] has something to do by itself.
    pub fn pause(&mut self, uptime: u64) -> u64 {
        let mut at = self.noise_at.min(self.link.deadline());
        if self.more {
            return 0;
        }
        if self.settings.telemetry != 0 {
            at = at.min(self.telemetry_at);
        }
        let mut pause = at.saturating_sub(uptime);
        if let Body::Alive(alive) = &mut self.body {
            let (endpoint, mut cx) = alive.split(uptime);
            let now = cx.now;
            if let Ok(Some(due)) = endpoint.poll_timeout(&mut cx) {
                pause = pause.min(due.saturating_sub(now));
            }
        }
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// Mixes fresh noise in. Noise that fails its tests stops everything that makes keys or sends.
    #[inline(never)]
    fn test_noise(&mut self, uptime: u64) {
        let before = self.generator.borrow().sick();
        let found = self.generator.borrow_mut().reseed();
        let pause = if found.is_ok() {
            NOISE_EVERY
        } else {
            NOISE_SOON
        };
        self.noise_at = uptime.saturating_add(pause);
        match (before, found) {
            (None, Err(sick)) => {
                self.log.note(
                    uptime,
                    format_args!("fault: no healthy noise: {}", sick.text()),
                );
                self.close(uptime, Down::Noise);
            }
            (Some(_), Ok(())) => self
                .log
                .note(uptime, format_args!("the noise is healthy again")),
            _ => {}
        }
    }

    fn is_sick(&self) -> bool {
        self.generator.borrow().sick().is_some()
    }

    /// Sets the lamp.
    pub fn shine(&mut self, uptime: u64) {
        let lamp: Lamp = lamp(self.mood(), self.lit, uptime);
        self.panel.lamp(lamp);
    }

    /// Feeds the watchdog.
    pub fn feed(&mut self) {
        self.panel.feed();
    }

    /// What the lamp says.
    #[must_use]
    pub fn mood(&self) -> Mood {
        match &self.body {
            Body::Alive(_) if self.is_sick() => Mood::Fault,
            Body::Alive(_) if self.link.is_online() => Mood::Online,
            Body::Alive(_) if self.settings.relay.is_some() => Mood::Connecting,
            Body::Alive(_) | Body::Closed(..) => Mood::Unprovisioned,
            Body::Broken(_) => Mood::Fault,
        }
    }

    /// How the own IP address is to be got; `None`: nothing may be sent.
    #[must_use]
    pub const fn network(&self) -> Option<Network> {
        match &self.body {
            Body::Alive(_) => Some(self.settings.network),
            _ => None,
        }
    }

    /// Says which IP address the device has.
    pub fn has_ip(&mut self, uptime: u64, ip: Option<core::net::Ipv4Addr>) {
        if self.ip != ip {
            self.ip = ip;
            match ip {
                Some(ip) => self.log.note(uptime, format_args!("ip {ip}")),
                None => self.log.note(uptime, format_args!("no ip address")),
            }
        }
    }

    /// What happened.
    #[must_use]
    pub const fn log(&self) -> &Log {
        self.log
    }

    /// Whether this life is over, and how.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// Ends this life from outside.
    pub fn finish(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    /// Does what is left to be done at the end. `false`: the flash is to be erased as a whole.
    pub fn bury(self, end: End) -> bool {
        let Self { body, keeper, .. } = self;
        match (end, body) {
            // An orderly stop saves message keys; one that fails is a loss of power.
            (End::Restart, Body::Alive(alive)) => {
                let mut store = alive.store;
                let _ = store.rest();
                true
            }
            (End::Reset, Body::Alive(Alive { store, .. }) | Body::Closed(store, _)) => {
                // Keys in flash first, in a way that goes on after a loss of power; then the one
                // outside.
                let done = store.reset().is_ok();
                keeper.forget();
                done
            }
            (End::Reset, Body::Broken(_)) => {
                keeper.forget();
                false
            }
            _ => true,
        }
    }
}

const _: () = assert!(
    MAX_BODY <= wire::OUT,
    "a message fits into the buffer that serves it"
);
