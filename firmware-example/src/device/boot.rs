//! From an image to a device. Whatever the image holds, there is a device afterwards, and it says
//! what it is.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    endpoint::Config,
    identity::{Address, SoftwareIdentity},
    limits::BASE_BODY,
    prekey::Prekeys,
    snapshot::StorageKey,
    storage::Storage,
};
use hushwire_flash::{Anchor, Boot, Cause, FlashError, FlashStore, Tables, Wipe};
use rand_core::{CryptoRng, Rng as _};
use zeroize::Zeroizing;

use super::{
    Alive, Body, Device, DeviceEndpoint, Fault, Link, NOISE_EVERY, Parts, Place, Stop, Store,
    inbox::Telemetry,
};
use crate::{
    CONTACTS, LINK, OUTBOX, PREKEYS, SKIP,
    board::{Entropy, Keeper, Panel},
    clock::Clock,
    curve::Curve,
    entropy::Random,
    log::Log,
    settings::{Settings, Slots},
};

/// Bytes that a first start cut short may leave: the store's own tolerance.
const ALMOST_BLANK: usize = 256;

/// The board's number that never goes back, for the store.
struct Stake<'a, K>(&'a mut K);

impl<K: Keeper> Anchor for Stake<'_, K> {
    fn read(&mut self) -> u64 {
        self.0.anchor().unwrap_or(0)
    }

    fn raise(&mut self, to: u64) {
        self.0.raise(to);
    }
}

impl<F: NorFlash, E> Slots for Store<'_, F, E> {
    type Error = FlashError<F::Error>;

    fn read(&mut self, slot: u8, buffer: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        self.setting(slot, buffer)
    }

    fn write(&mut self, slot: u8, bytes: &[u8]) -> Result<(), Self::Error> {
        self.set_setting(slot, bytes)
    }
}

impl<'a, F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'a, F, E, K, P> {
    /// Reads the flash, and makes keys where it is blank. `uptime` is milliseconds since power on.
    pub fn boot(parts: Parts<'a, F, E, K, P>, uptime: u64) -> Self {
        Self::assemble(parts, uptime, true)
    }

    /// A device whose flash has failed too often: it says so, and waits.
    pub fn broken(parts: Parts<'a, F, E, K, P>, uptime: u64) -> Self {
        Self::assemble(parts, uptime, false)
    }

    fn assemble(parts: Parts<'a, F, E, K, P>, uptime: u64, with_flash: bool) -> Self {
        let Parts {
            name,
            flash,
            wipe,
            generator,
            keeper,
            panel,
            log,
            memory,
        } = parts;
        let super::Memory {
            tables,
            endpoint,
            wire,
            link,
            settings,
        } = memory;
        wire.clear();
        let link = link.fill(Link::new());
        let settings = settings.fill(Settings::new());
        let mut boot = None;
        let random = Random::new(generator);
        let mut stake = Stake(keeper);
        let opened = if with_flash {
            open(flash, &mut stake, random, wipe, tables)
        } else {
            Err(Fault::Flash)
        };
        let body = match opened {
            Ok((store, Boot::NeedsPairing(cause))) => Body::Closed(store, cause),
            Ok((store, found)) => {
                boot = Some(found);
                match wake(store, endpoint, random, uptime, settings) {
                    Ok(alive) => Body::Alive(alive),
                    Err(Stop::Reload(why)) => {
                        log.note(uptime, format_args!("fault: {why}"));
                        Body::Broken(Fault::Flash)
                    }
                    Err(Stop::Link(_)) => Body::Broken(Fault::Flash),
                }
            }
            Err(fault) => Body::Broken(fault),
        };
        announce(log, uptime, name, &body, boot);
        Self {
            name,
            generator,
            keeper: stake.0,
            panel,
            log,
            wire,
            body,
            boot,
            settings,
            link,
            lit: false,
            served: None,
            telemetry_at: uptime,
            telemetry: Telemetry::new(),
            noise_at: uptime.saturating_add(NOISE_EVERY),
            ip: None,
            end: None,
            more: false,
        }
    }

    /// Why the device does not work, if it does not.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match &self.body {
            Body::Alive(_) => None,
            Body::Closed(_, cause) => Some(Fault::Pairing(*cause)),
            Body::Broken(fault) => Some(*fault),
        }
    }

    /// Who this device is.
    #[must_use]
    pub const fn address(&self) -> Option<Address> {
        match &self.body {
            Body::Alive(alive) => Some(alive.endpoint.address()),
            _ => None,
        }
    }
}

fn open<'a, F: NorFlash, E: Entropy, K: Keeper>(
    flash: &'a mut F,
    stake: &mut Stake<'_, K>,
    mut random: Random<'a, E>,
    wipe: Wipe,
    tables: &'a mut Tables<SKIP, CONTACTS, OUTBOX>,
) -> Result<(Store<'a, F, E>, Boot), Fault> {
    let mut key = Zeroizing::new([0; 32]);
    match stake.0.key() {
        Some(kept) => *key = kept,
        None => {
            random.fill_bytes(&mut *key);
            // A key over an image that exists would hide it for ever, should the keeper only have
            // failed to read. It then opens under no key of ours, and says so.
            if is_blank(flash)? && !stake.0.keep(&key) {
                return Err(Fault::Keeper);
            }
        }
    }
    let key = StorageKey::from_bytes(*key);
    FlashStore::open(flash, key, random, wipe, stake, tables).map_err(|_| Fault::Flash)
}

fn is_blank<F: NorFlash>(flash: &mut F) -> Result<bool, Fault> {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    let mut programmed = 0;
    for at in (0..flash.capacity()).step_by(BLOCK) {
        flash
            .read(at as u32, &mut block)
            .map_err(|_| Fault::Flash)?;
        programmed += block.iter().filter(|byte| **byte != 0xff).count();
    }
    Ok(programmed <= ALMOST_BLANK)
}

/// Identity, prekeys and settings, read or made.
fn wake<'a, F: NorFlash, E: Entropy>(
    mut store: Store<'a, F, E>,
    place: &'a mut Place<DeviceEndpoint>,
    mut random: Random<'a, E>,
    uptime: u64,
    settings: &mut Settings,
) -> Result<Alive<'a, F, E>, Stop> {
    let broken = |_| Stop::Reload("the identity does not grow from its seed");
    let mut seed = Zeroizing::new([0; SoftwareIdentity::SEED_LEN]);
    if !store.identity(&mut seed)? {
        random.fill_bytes(&mut *seed);
        store.set_identity(&seed)?;
    }
    let identity = SoftwareIdentity::from_seed(&mut Curve, &seed).map_err(broken)?;
    settings.load(&mut store)?;
    settings.count_start(&mut store)?;
    let config = Config {
        max_body: BASE_BODY as u16,
        accept_strangers: settings.strangers,
        home: LINK,
    };
    let mut clock = Clock::resume(store.clock(), uptime);
    let now = clock.at(uptime);
    store.set_clock(now);
    let endpoint = begin(place, &mut store, identity, config, random, now)?;
    Ok(Alive {
        endpoint,
        store,
        random,
        clock,
    })
}

/// The endpoint, from its record, which a first start makes.
fn begin<'p, F: NorFlash, E: Entropy>(
    place: &'p mut Place<DeviceEndpoint>,
    store: &mut Store<'_, F, E>,
    identity: SoftwareIdentity,
    config: Config,
    random: Random<'_, E>,
    now: u64,
) -> Result<&'p mut DeviceEndpoint, Stop> {
    let mut own = Zeroizing::new([0; Prekeys::<PREKEYS>::MAX_ENCODED]);
    let len = match store.own(&mut *own)? {
        Some(len) => len,
        None => {
            make(store, random, now)?;
            let made = store.own(&mut *own)?;
            made.ok_or(Stop::Reload("the prekeys were not kept"))?
        }
    };
    let endpoint = load(place, identity, config, own.get(..len).unwrap_or_default())?;
    store.spent_prekeys().for_each(|id| endpoint.reconcile(id));
    Ok(endpoint)
}

/// Makes prekeys, and commits them. Not through [`DeviceEndpoint::new`]: an endpoint on the stack while
/// keys are made was the deepest that the stack ever was.
#[inline(never)]
fn make<S: Storage<SKIP, Error = FlashError<X>>, X, R: CryptoRng>(
    store: &mut S,
    mut rng: R,
    now: u64,
) -> Result<(), Stop> {
    let failed = |_| Stop::Reload("cryptography failed");
    let mut prekeys = Prekeys::<PREKEYS>::generate(&mut Curve, &mut rng, now).map_err(failed)?;
    prekeys.refill(&mut Curve, &mut rng).map_err(failed)?;
    store.save_own(&prekeys)?;
    Ok(store.commit()?)
}

#[inline(never)]
fn load<'p>(
    place: &'p mut Place<DeviceEndpoint>,
    identity: SoftwareIdentity,
    config: Config,
    own: &[u8],
) -> Result<&'p mut DeviceEndpoint, Stop> {
    match DeviceEndpoint::load(identity, Curve, config, own) {
        Ok(endpoint) => Ok(place.fill(endpoint)),
        Err(_) => Err(Stop::Reload("the prekeys do not decode")),
    }
}

/// What the owner has to know of this start.
fn announce<F: NorFlash, E>(
    log: &mut Log,
    uptime: u64,
    name: &str,
    body: &Body<'_, F, E>,
    boot: Option<Boot>,
) {
    let version = env!("CARGO_PKG_VERSION");
    log.note(uptime, format_args!("hushwire {version} on {name}"));
    match boot {
        Some(Boot::Fresh) => log.note(uptime, format_args!("first start: keys were made")),
        Some(Boot::Recovered(lost)) => log.note(
            uptime,
            format_args!(
                "alarm: the flash was damaged; lost: {} sessions, {} contacts, prekeys: {}, messages: {}",
                lost.sessions, lost.contacts, lost.prekeys, lost.messages
            ),
        ),
        Some(Boot::RolledBack) => log.note(
            uptime,
            format_args!("alarm: this is an older image of the flash; every conversation begins anew"),
        ),
        Some(Boot::Ready | Boot::NeedsPairing(_)) | None => {}
    }
    match body {
        Body::Alive(alive) => {
            log.note(uptime, format_args!("address {}", alive.endpoint.address()));
            log.note(uptime, format_args!("ready"));
        }
        Body::Closed(_, cause) => {
            let what = match cause {
                Cause::Foreign => "the flash is another device's, or its key is lost",
                Cause::Newer(_) => "the flash was written by a newer firmware",
                Cause::Damaged => "the flash holds nothing that can be read",
            };
            log.note(
                uptime,
                format_args!("needs pairing: {what}; reset CONFIRM makes a new device"),
            );
        }
        Body::Broken(Fault::Keeper) => log.note(
            uptime,
            format_args!("fault: the storage key cannot be kept"),
        ),
        Body::Broken(_) => log.note(uptime, format_args!("fault: the flash does not work")),
    }
}
