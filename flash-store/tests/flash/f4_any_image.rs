//! F4: whatever bytes the flash holds, a start ends in a clear state, without a panic or a loop; and
//! what it says is usable is usable, also at the start after.

use hushwire_core::{
    crypto::Software,
    endpoint::{Cx, Endpoint, EndpointError, SendError},
    identity::{Address, SoftwareIdentity},
    prekey::Prekeys,
    storage::Storage as _,
};
use hushwire_flash::{Boot, Cause, FlashError, MAX_SETTING, NoAnchor, Wipe};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::common::{
    attacker::crc16,
    flash::{Chip, MockError, MockFlash},
    node::{Flash, Inner, Node, PAGE, PREKEYS, SKIP, give_back, ram, storage_key},
    size,
    world::World,
};

type Device = Endpoint<SoftwareIdentity, Software, SKIP, PREKEYS>;

fn open(chip: &Flash, seed: u8, salt: u64) -> (Inner, Boot) {
    let rng = ChaCha20Rng::seed_from_u64(salt);
    let wipe = Wipe::in_place::<Flash>();
    let opened = Inner::open(
        chip.clone(),
        storage_key(seed),
        rng,
        wipe,
        &mut NoAnchor,
        ram(),
    );
    opened.unwrap()
}

/// Starts on an image as a firmware would, uses what is there, and starts again until all is well or
/// nothing is. Returns what it was at first.
fn start(image: Vec<u8>, seed: u8) -> Boot {
    let mut flash = MockFlash::of(image);
    flash.strict = false;
    let chip = Chip::with(flash);
    let (mut first, mut well) = (None, 0);
    for salt in 0..12 {
        let (mut store, boot) = open(&chip, seed, salt);
        first.get_or_insert(boot);
        if let Boot::NeedsPairing(_) = boot {
            let mut seed_bytes = [0; 32];
            assert_eq!(store.identity(&mut seed_bytes), Err(FlashError::Closed));
            assert_eq!(store.commit(), Err(FlashError::Closed));
            store.reset().unwrap();
            let (store, after) = open(&chip, seed, 100);
            assert_eq!(after, Boot::Fresh);
            give_back(store);
            return first.unwrap();
        }
        match live(&mut store, boot) {
            // What was lost was written down as lost: the next start finds everything.
            Ok(()) => well += u64::from(boot == Boot::Ready),
            // Damage that shows only when it is written over: the device starts again behind it.
            Err(error) => assert_eq!(error, FlashError::Damaged, "{boot:?}"),
        }
        give_back(store);
        if well == 2 {
            return first.unwrap();
        }
    }
    panic!("neither well nor given up: {first:?}");
}

/// Everything that a device does with its store.
fn live(store: &mut Inner, boot: Boot) -> Result<(), FlashError<MockError>> {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let (mut own, mut identity) = ([0; Prekeys::<PREKEYS>::MAX_ENCODED], [0; 32]);
    if boot == Boot::Fresh {
        store.set_identity(&[1; 32])?;
    }
    if !store.identity(&mut identity)? {
        return Err(FlashError::Damaged);
    }
    let keys = SoftwareIdentity::from_seed(&mut Software, &identity).unwrap();
    let config = Node::config(false);
    let now = store.clock() + 1;
    let own = store.own(&mut own)?.map(|len| own[..len].to_vec());
    let mut cx = Cx {
        store,
        rng: &mut rng,
        now,
    };
    let mut device = match own {
        Some(own) => Device::load(keys, Software, config, &own).unwrap(),
        None => match Device::new(keys, Software, config, &mut cx) {
            Err(EndpointError::Storage(error)) => return Err(error),
            device => device.unwrap(),
        },
    };
    let mut buffer = [0; 1024];
    while let Some(message) = store.next_message(&mut buffer)? {
        let id = message.id;
        store.done(&id)?;
    }
    let contacts: Vec<Address> = store.contacts().map(|peer| peer.address).collect();
    for who in contacts {
        let mut cx = Cx {
            store,
            rng: &mut rng,
            now,
        };
        if let Err(SendError::Storage(error)) = device.send(&mut cx, &who, b"still here") {
            return Err(error);
        }
        let entries: Vec<_> = store.outbox().filter(|entry| entry.to == who).collect();
        for entry in entries {
            store.body(&who, entry.id, &mut buffer)?;
        }
    }
    let mut setting = [0; MAX_SETTING];
    for slot in 0..hushwire_flash::SETTINGS {
        store.setting(slot, &mut setting)?;
    }
    store.set_setting(3, b"new")?;
    store.flush()
}

/// An image with everything in it, and one of another device.
fn images() -> [Vec<u8>; 2] {
    let mut world = World::new(3, 11);
    for round in 0..20_u8 {
        for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            world.send(a, b, &vec![round; 10 + 9 * usize::from(round)]);
        }
        for at in [0, 1, 2, 0] {
            world.connect(at);
            world.pump(at, 64);
        }
        if round == 10 {
            world.nodes[0].store.reading = false;
            world.nodes[0]
                .store
                .flash()
                .set_setting(2, b"relay")
                .unwrap();
        }
        if round == 13 {
            world.disconnect(0);
        }
    }
    [0, 1].map(|at| world.nodes[at].chip.image())
}

#[derive(Default, Debug)]
struct Counts {
    fresh: u64,
    ready: u64,
    recovered: u64,
    needs_pairing: u64,
}

impl Counts {
    fn add(&mut self, boot: Boot) {
        match boot {
            Boot::Fresh => self.fresh += 1,
            Boot::Ready => self.ready += 1,
            Boot::Recovered(_) => self.recovered += 1,
            Boot::RolledBack => panic!("there is no anchor"),
            Boot::NeedsPairing(_) => self.needs_pairing += 1,
        }
    }
}

#[test]
fn f4_blank_full_and_foreign_images() {
    let [image, other] = images();
    assert_eq!(start(image.clone(), 1), Boot::Ready);
    assert_eq!(start(vec![0xff; 16 * PAGE], 1), Boot::Fresh);
    let damaged = Boot::NeedsPairing(Cause::Damaged);
    assert_eq!(start(vec![0x00; 16 * PAGE], 1), damaged);
    assert_eq!(start(vec![0x55; 16 * PAGE], 1), damaged);
    assert_eq!(start(other, 1), Boot::NeedsPairing(Cause::Foreign));
    // Another size of region, with the front of the image.
    for pages in [6, 8, 15] {
        start(image[..pages * PAGE].to_vec(), 1);
    }
    assert_eq!(
        Inner::open(
            Chip::with(MockFlash::of(image[..5 * PAGE].to_vec())),
            storage_key(1),
            ChaCha20Rng::seed_from_u64(1),
            Wipe::in_place::<Flash>(),
            &mut NoAnchor,
            ram()
        )
        .err(),
        Some(FlashError::Size)
    );
}

#[test]
fn f4_random_images() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut counts = Counts::default();
    for _ in 0..size("HUSHWIRE_F4", 200) {
        let mut image = vec![0; 16 * PAGE];
        rng.fill_bytes(&mut image);
        // Some of them with pages that look whole to the library.
        for page in 0..16 {
            if rng.next_u32() % 2 == 0 {
                image[page * PAGE..page * PAGE + 4].fill(0);
                image[(page + 1) * PAGE - 4..(page + 1) * PAGE].fill(rng.next_u32() as u8);
            }
        }
        counts.add(start(image, 1));
    }
    println!("{counts:?}");
    assert_eq!(counts.ready, 0);
}

#[test]
fn f4_damaged_images() {
    let [image, other] = images();
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut counts = Counts::default();
    for n in 0..size("HUSHWIRE_F4", 500) {
        let mut image = image.clone();
        let random = |rng: &mut ChaCha20Rng, below: usize| rng.next_u64() as usize % below;
        match n % 5 {
            // Flipped bits, few or many.
            0 | 1 => {
                for _ in 0..1 << random(&mut rng, 11) {
                    let at = random(&mut rng, image.len());
                    image[at] ^= 1 << random(&mut rng, 8);
                }
            }
            // A stretch erased, zeroed or made up.
            2 => {
                let at = random(&mut rng, image.len());
                let end = (at + random(&mut rng, 3 * PAGE)).min(image.len());
                match random(&mut rng, 3) {
                    0 => image[at..end].fill(0xff),
                    1 => image[at..end].fill(0x00),
                    _ => rng.fill_bytes(&mut image[at..end]),
                }
            }
            // Pages of another device, or in another place.
            3 => {
                let (to, from) = (random(&mut rng, 16) * PAGE, random(&mut rng, 16) * PAGE);
                let source = if random(&mut rng, 2) == 0 {
                    image.clone()
                } else {
                    other.clone()
                };
                image[to..to + PAGE].copy_from_slice(&source[from..from + PAGE]);
            }
            // Only in the pages of keys.
            _ => {
                for _ in 0..1 + random(&mut rng, 40) {
                    let at = random(&mut rng, 2 * PAGE);
                    image[at] = rng.next_u32() as u8;
                }
            }
        }
        counts.add(start(image, 1));
    }
    println!("{counts:?}");
    assert!(counts.ready > 0 && counts.recovered > 0 && counts.needs_pairing > 0);
    assert_eq!(counts.fresh, 0, "no identity is replaced in silence");
}

/// An item whose checksums are right, and nothing else about it.
fn item(contents: &[u8], len: u16) -> Vec<u8> {
    let mut sum = 0xeeee_eeee_u32;
    for byte in contents {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 > 0 {
                (sum >> 1) ^ 0x82f6_3b78
            } else {
                sum >> 1
            };
        }
    }
    let sum = !sum;
    let len = len.to_le_bytes();
    let mut item = sum.to_le_bytes().to_vec();
    item.extend(len);
    item.extend(crc16(&len).to_le_bytes());
    item.extend(contents);
    item.resize(item.len().next_multiple_of(4), 0);
    item
}

/// Items that only somebody with tools can have put there: of no bytes, of one, of too many.
#[test]
fn f4_crafted_items() {
    let [image, _] = images();
    // The page that is being written: its items end where the erased bytes begin.
    let open_page =
        (2..16).find(|page| image[page * PAGE] != 0xff && image[(page + 1) * PAGE - 1] == 0xff);
    let page = open_page.unwrap() * PAGE;
    let free = page + PAGE
        - image[page..page + PAGE - 4]
            .iter()
            .rev()
            .take_while(|b| **b == 0xff)
            .count();
    let free = free.next_multiple_of(4);
    for name in (0..=255_u8).step_by(3) {
        for len in [0, 1, 2, 9, 30, 700] {
            let mut contents = vec![name; len];
            if len > 7 {
                contents[1..6].copy_from_slice(b"HUSH\x01");
            }
            let crafted = item(&contents, len as u16);
            let mut image = image.clone();
            if free + crafted.len() + 4 <= page + PAGE {
                image[free..free + crafted.len()].copy_from_slice(&crafted);
                start(image, 1);
            }
        }
    }
    // Larger than any buffer: it cannot be read, nor can what stands with it.
    let mut blank = vec![0xff; 16 * PAGE];
    blank[2 * PAGE..2 * PAGE + 4].fill(0);
    let large = item(&[0; 3000], 3000);
    blank[2 * PAGE + 4..2 * PAGE + 4 + large.len()].copy_from_slice(&large);
    assert_eq!(start(blank, 1), Boot::NeedsPairing(Cause::Damaged));
}
