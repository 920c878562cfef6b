//! A device of the world on flash: what `core-nostd/tests/common/world.rs` drives.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

use hushwire_core::{
    crypto::Software,
    endpoint::{Config, Cx, Endpoint, EndpointError},
    identity::{Address, IdentityKeys as _, SoftwareIdentity},
    peer::{Conversation, Peer},
    prekey::Prekeys,
    snapshot::StorageKey,
    storage::{Event, Incoming, OutboxEntry, RelayMark, Storage, Wake},
    wire::MessageId,
};
use hushwire_flash::{Anchor, Boot, FlashError, FlashStore, Tables, Wipe};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    device::Size,
    flash::{Chip, MockError},
};

pub const SKIP: usize = 32;
pub const CONTACTS: usize = 4;
pub const OUTBOX: usize = 16;
pub const PREKEYS: usize = 8;
pub const LINK: u8 = 0;
pub const PAGE: usize = 4096;

pub type Flash = Chip<4, PAGE>;
pub type Inner = FlashStore<'static, Flash, ChaCha20Rng, SKIP, CONTACTS, OUTBOX>;
pub type Device = Endpoint<SoftwareIdentity, Software, SKIP, PREKEYS>;
pub type Ram = Tables<SKIP, CONTACTS, OUTBOX>;

thread_local! {
    /// How the devices of this test wipe.
    pub static WIPE: Cell<Wipe> = const { Cell::new(Wipe::in_place::<Flash>()) };
    static SPARE: RefCell<Vec<&'static mut Ram>> = const { RefCell::new(Vec::new()) };
}

/// A device's tables: a `static` there, used again here.
pub fn ram() -> &'static mut Ram {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| Box::leak(Box::new(Ram::new())))
}

pub fn give_back(store: Inner) {
    let (_, _, ram) = store.release();
    SPARE.with_borrow_mut(|spare| spare.push(ram));
}

/// A message that the application has seen.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: Address,
    pub id: MessageId,
    pub body: Vec<u8>,
    pub replayable: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Durable {
    pub inbox: Vec<Received>,
}

/// The store with an application that reads its inbox after each commit.
pub struct Store {
    pub inner: Option<Box<Inner>>,
    pub durable: Durable,
    pub events: Vec<Event>,
    /// Whether the application reads.
    pub reading: bool,
    /// After every commit.
    pub watch: Option<fn(&mut Inner, u8)>,
    pub seed: u8,
    pub commits: u64,
}

impl Store {
    pub fn flash(&mut self) -> &mut Inner {
        self.inner.as_mut().unwrap()
    }

    pub fn outbox(&self) -> impl Iterator<Item = OutboxEntry> {
        self.inner.as_ref().unwrap().outbox()
    }

    pub fn read(&mut self) -> Result<(), FlashError<MockError>> {
        let mut buffer = vec![0; 1024];
        let inner = self.inner.as_mut().unwrap();
        while self.reading
            && let Some(message) = inner.next_message(&mut buffer)?
        {
            let id = message.id;
            let known = |old: &&Received| (old.from, old.id) == (message.from, id);
            // The application is told at least once; the id makes it once.
            if self.durable.inbox.iter().find(known).is_none() {
                self.durable.inbox.push(Received {
                    from: message.from,
                    id,
                    body: message.body.to_vec(),
                    replayable: message.replayable,
                });
            }
            inner.done(&id)?;
        }
        while let Some(event) = inner.next_event() {
            self.events.push(event);
        }
        Ok(())
    }
}

impl Storage<SKIP> for Store {
    type Error = FlashError<MockError>;

    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, SKIP>>, Self::Error> {
        self.flash().conversation(who)
    }

    fn create(&mut self, peer: Peer<SKIP>) -> Result<bool, Self::Error> {
        self.flash().create(peer)
    }

    fn save(&mut self, who: &Address) -> Result<(), Self::Error> {
        self.flash().save(who)
    }

    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), Self::Error> {
        self.flash().save_own(prekeys)
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, Self::Error> {
        self.flash().push(entry, body)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), Self::Error> {
        self.flash().owe_receipt(fresh, id)
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, Self::Error> {
        self.flash().next_due(now, links)
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, Self::Error> {
        self.flash().earliest_due(links)
    }

    fn body(
        &mut self,
        to: &Address,
        id: MessageId,
        buffer: &mut [u8],
    ) -> Result<usize, Self::Error> {
        self.flash().body(to, id, buffer)
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, Self::Error> {
        self.flash().find(to, id)
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), Self::Error> {
        self.flash().update(entry)
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), Self::Error> {
        self.flash().remove(to, id)
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), Self::Error> {
        self.flash().wake(which, due)
    }

    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, Self::Error> {
        self.flash().seen(from, id)
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Self::Error> {
        let mut known = self.durable.inbox.iter();
        assert!(
            !known.any(|old| (old.from, old.id) == (message.from, message.id)),
            "a plaintext recorded twice"
        );
        self.flash().receive(message)
    }

    fn event(&mut self, event: Event) -> Result<(), Self::Error> {
        self.flash().event(event)
    }

    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, Self::Error> {
        self.flash().relay_mark(link)
    }

    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), Self::Error> {
        self.flash().save_relay_mark(link, mark)
    }

    fn commit(&mut self) -> Result<(), Self::Error> {
        self.flash().commit()?;
        self.commits += 1;
        if let Some(watch) = self.watch {
            let seed = self.seed;
            watch(self.flash(), seed);
        }
        self.read()
    }
}

/// One device and its end of the link.
pub struct Node {
    pub device: Device,
    pub store: Store,
    pub rng: ChaCha20Rng,
    pub address: Address,
    pub up: bool,
    pub inbound: VecDeque<Vec<u8>>,
    pub lasting_events: Vec<Event>,
    pub boots: Vec<Boot>,
    pub size: Size,
    pub seed: u8,
    pub strangers: bool,
    pub anchor: Counter,
    pub chip: Flash,
    /// Fresh randomness for each start.
    salt: u64,
    now: u64,
}

/// A monotonic counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter(pub Option<u64>);

impl Anchor for Counter {
    fn read(&mut self) -> u64 {
        self.0.unwrap_or(0)
    }

    fn raise(&mut self, to: u64) {
        if let Some(at) = &mut self.0 {
            assert!(to >= *at);
            *at = to;
        }
    }
}

pub fn storage_key(seed: u8) -> StorageKey {
    StorageKey::from_bytes([seed ^ 0x5a; 32])
}

impl Node {
    pub fn identity(seed: u8) -> SoftwareIdentity {
        SoftwareIdentity::from_seed(&mut Software, &[seed; 32]).unwrap()
    }

    pub fn config(strangers: bool) -> Config {
        Config {
            max_body: 1024,
            accept_strangers: strangers,
            home: LINK,
        }
    }

    pub fn of_size(_size: Size, seed: u8, strangers: bool, now: u64) -> Self {
        Self::new(seed, strangers, now)
    }

    pub fn new(seed: u8, strangers: bool, now: u64) -> Self {
        Self::on(Flash::new(16), seed, strangers, now, Counter(None))
    }

    /// A device that starts on this chip, whatever is on it.
    pub fn on(chip: Flash, seed: u8, strangers: bool, now: u64, anchor: Counter) -> Self {
        let salt = u64::from(seed) * 1_000_000;
        let mut anchor = anchor;
        let mut boots = Vec::new();
        let address = Self::identity(seed).public().address();
        let mut again = (0..8).filter_map(|life| {
            chip.get().power_on_for_start();
            let salt = salt + life;
            start(&chip, seed, strangers, now, salt, &mut anchor, &mut boots)
        });
        let (store, device) = again.next().expect("the device starts");
        drop(again);
        let salt = salt + 8;
        Self {
            device,
            store: Store {
                inner: Some(Box::new(store)),
                durable: Durable::default(),
                events: Vec::new(),
                reading: true,
                watch: None,
                seed,
                commits: 0,
            },
            rng: ChaCha20Rng::seed_from_u64(salt + 500_000),
            address,
            up: false,
            inbound: VecDeque::new(),
            lasting_events: Vec::new(),
            boots,
            size: Size::Host,
            seed,
            strangers,
            anchor,
            chip,
            salt,
            now,
        }
    }

    /// The power went: starts again from what the chip holds, as often as it takes.
    pub fn lose_power(&mut self, _keep: usize) {
        self.keep_events();
        if let Some(store) = self.store.inner.take() {
            give_back(*store);
        }
        self.up = false;
        self.inbound.clear();
        for _ in 0..8 {
            self.chip.get().power_on_for_start();
            self.salt += 1;
            let started = start(
                &self.chip,
                self.seed,
                self.strangers,
                self.now,
                self.salt,
                &mut self.anchor,
                &mut self.boots,
            );
            if let Some((store, device)) = started {
                self.store.inner = Some(Box::new(store));
                self.device = device;
                self.store.read().unwrap();
                return;
            }
        }
        panic!("the device does not start");
    }

    pub fn keep_events(&mut self) {
        self.lasting_events.append(&mut self.store.events);
    }

    pub fn add_contact(&mut self, address: Address) {
        while self.store.flash().add_contact(&address, LINK).is_err() {
            self.lose_power(0);
        }
    }
}

/// What a firmware does at its start. `None`: the power went in it.
fn start(
    chip: &Flash,
    seed: u8,
    strangers: bool,
    now: u64,
    salt: u64,
    anchor: &mut Counter,
    boots: &mut Vec<Boot>,
) -> Option<(Inner, Device)> {
    let rng = ChaCha20Rng::seed_from_u64(salt + 1_000_000_000);
    let wipe = WIPE.get();
    let opened = Inner::open(chip.clone(), storage_key(seed), rng, wipe, anchor, ram());
    let (mut store, boot) = power(opened)?;
    boots.push(boot);
    let mut own = [0; Prekeys::<PREKEYS>::MAX_ENCODED];
    let mut known = [0; 32];
    if boot == Boot::Fresh {
        power(store.set_identity(&[seed; 32]))?;
    }
    assert!(power(store.identity(&mut known))?, "{boot:?}");
    let identity = SoftwareIdentity::from_seed(&mut Software, &known).unwrap();
    let config = Node::config(strangers);
    let mut rng = ChaCha20Rng::seed_from_u64(salt + 2_000_000_000);
    let device = match power(store.own(&mut own))? {
        Some(len) => {
            let mut device = Device::load(identity, Software, config, &own[..len]).unwrap();
            for spent in store.spent_prekeys() {
                device.reconcile(spent);
            }
            device
        }
        None => {
            let mut cx = Cx {
                store: &mut store,
                rng: &mut rng,
                now,
            };
            match Device::new(identity, Software, config, &mut cx) {
                Ok(device) => device,
                Err(EndpointError::Storage(FlashError::Flash(MockError::PowerLost))) => {
                    return None;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    Some((store, device))
}

/// The one error that a test may meet.
fn power<T>(result: Result<T, FlashError<MockError>>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(FlashError::Flash(MockError::PowerLost)) => None,
        Err(error) => panic!("{error:?}"),
    }
}
