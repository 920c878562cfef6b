//! One device of the world, with its storage and its end of the link.

use std::collections::VecDeque;

use hushwire_core::{
    crypto::Software,
    endpoint::{Config, Cx},
    identity::{Address, IdentityKeys as _, SoftwareIdentity},
    peer::{Peer, Standing},
    storage::{Event, Storage as _},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    device::{Device, Size},
    store::{Durable, MemoryStore},
};

pub const LINK: u8 = 0;

/// One device and its end of the link.
pub struct Node {
    pub device: Device,
    pub store: MemoryStore,
    pub rng: ChaCha20Rng,
    pub address: Address,
    pub up: bool,
    pub inbound: VecDeque<Vec<u8>>,
    /// What was told to the application, over all starts of the device.
    pub lasting_events: Vec<Event>,
    pub lasting_steps: u64,
    pub size: Size,
    seed: u8,
    strangers: bool,
}

impl Node {
    pub fn identity(seed: u8) -> SoftwareIdentity {
        SoftwareIdentity::from_seed(&mut Software, &[seed; 32]).unwrap()
    }

    fn config(strangers: bool) -> Config {
        Config {
            max_body: 1024,
            accept_strangers: strangers,
            home: LINK,
        }
    }

    pub fn new(seed: u8, strangers: bool, now: u64) -> Self {
        Self::of_size(Size::Host, seed, strangers, now)
    }

    pub fn of_size(size: Size, seed: u8, strangers: bool, now: u64) -> Self {
        Self::with_randomness(size, seed, strangers, now, u64::from(seed) + 1000)
    }

    /// The same identity on a device that was lost and is bought anew.
    pub fn reinstalled(seed: u8, strangers: bool, now: u64) -> Self {
        Self::with_randomness(Size::Host, seed, strangers, now, u64::from(seed) + 5000)
    }

    fn with_randomness(size: Size, seed: u8, strangers: bool, now: u64, randomness: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(randomness);
        let mut store = MemoryStore::new();
        let identity = Self::identity(seed);
        let address = identity.public().address();
        let mut cx = Cx {
            store: &mut store,
            rng: &mut rng,
            now,
        };
        let device = Device::new(size, identity, Self::config(strangers), &mut cx);
        Self {
            device,
            store,
            rng,
            address,
            up: false,
            inbound: VecDeque::new(),
            lasting_events: Vec::new(),
            lasting_steps: 0,
            size,
            seed,
            strangers,
        }
    }

    /// Starts again from what survived.
    pub fn reboot(&mut self, durable: Durable) {
        self.keep_events();
        self.store = MemoryStore::boot(durable);
        let own = self.store.durable.own.clone();
        let config = Self::config(self.strangers);
        self.device = Device::load(self.size, Self::identity(self.seed), config, &own);
        for spent in self.store.spent_prekeys() {
            self.device.reconcile(spent);
        }
        self.up = false;
        self.inbound.clear();
    }

    /// Moves what was told into the lasting lists.
    pub fn keep_events(&mut self) {
        self.lasting_events.append(&mut self.store.events);
        self.lasting_steps += std::mem::take(&mut self.store.steps);
    }

    pub fn lose_power(&mut self, keep: usize) {
        self.keep_events();
        let store = std::mem::replace(&mut self.store, MemoryStore::new());
        self.reboot(store.lose_power(keep));
    }

    pub fn add_contact(&mut self, address: Address) {
        assert!(
            self.store
                .create(Peer::new(address, Standing::Contact, LINK))
                .unwrap()
        );
        self.store.save(&address).unwrap();
        self.store.commit().unwrap();
    }
}
