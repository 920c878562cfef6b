//! F1: the power goes in every write and every erase of a life, in five ways; the device starts, goes
//! on, and nothing is lost, doubled, re-paired or sealed under a key that was used.
//!
//! Every day each second operation is cut, in one way by turns; `HUSHWIRE_F1=all` cuts each one in
//! every way.

use hushwire_core::identity::Address;
use hushwire_flash::{Boot, MAX_SETTING, NoAnchor, Wipe};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common::{
    flash::{MockFlash, Torn},
    node::{Counter, Flash, Inner, Node, PAGE, give_back, ram, storage_key},
    script::{Life, VICTIM},
};

const TORN: [Torn; 5] = [
    Torn::Nothing,
    Torn::All,
    Torn::First(7),
    Torn::Last(9),
    Torn::First(15),
];

/// Runs the life on a chip with these bytes; returns whether the power went, and the erases.
fn cut_at(image: &[u8], operation: u64, torn: Torn) -> (bool, u64) {
    let mut flash = MockFlash::<4, PAGE>::of(image.to_vec());
    flash.cut = Some((operation, torn));
    let chip = Flash::with(flash);
    let mut life = Life::begin(chip.clone());
    life.everything();
    assert_eq!(life.restarts(), 0, "a conversation began anew");
    for boot in &life.world.nodes[VICTIM].boots {
        assert!(matches!(boot, Boot::Fresh | Boot::Ready), "{boot:?}");
    }
    let chip = chip.get();
    (chip.cut.is_none(), chip.erases)
}

fn sweep(image: &[u8], least_erases: u64) {
    let all = std::env::var("HUSHWIRE_F1").is_ok_and(|value| value == "all");
    let (_, erases) = cut_at(image, u64::MAX, Torn::Nothing);
    assert!(erases >= least_erases, "{erases} erases");
    let mut cuts = 0;
    for operation in (0..).step_by(if all { 1 } else { 2 }) {
        let ways = if all { TORN.len() } else { 1 };
        let mut went = false;
        for way in 0..ways {
            let torn = TORN[(operation as usize / 2 + way) % TORN.len()];
            println!("operation {operation}, {torn:?}");
            went = cut_at(image, operation, torn).0;
            cuts += u64::from(went);
        }
        if !went {
            break;
        }
    }
    println!("{cuts} cuts, {erases} erases in a life");
    assert!(cuts > 300);
}

/// From the first start on, in a region so small that its pages are turned over and over.
#[test]
fn f1_power_cut_sweep() {
    sweep(&[0xff; 6 * PAGE], 4);
}

/// On a device whose pages of items and of keys are nearly full.
#[test]
fn f1_power_cut_sweep_of_an_old_device() {
    let chip = Flash::new(8);
    {
        let mut node = Node::on(chip.clone(), 1, false, 1_000_000, Counter(None));
        for n in 0..140_u8 {
            node.add_contact(Address([n; 20]));
            let gone = node.store.flash().remove_contact(&Address([n; 20]));
            assert!(gone.unwrap());
        }
    }
    let image = chip.image();
    // One of the two pages of keys is in use, and it will be turned.
    let keys = |page: usize| {
        image[page * PAGE..(page + 1) * PAGE]
            .iter()
            .any(|b| *b != 0xff)
    };
    assert!(keys(0) && !keys(1));
    sweep(&image, 6);
}

/// Whenever the power goes while a setting is written, the device has the old one or the new one,
/// whole, and the others as they were: a relay's key and its invitation are one setting.
#[test]
fn f1_a_setting_is_the_old_one_or_the_new_one() {
    // So much fills the pages of items: while the settings below are written, one is turned.
    let full = {
        let chip = Flash::new(6);
        let mut store = prepared(&chip, 0);
        let writes = (1..).take_while(|round| {
            store.set_setting(1, &[*round; MAX_SETTING]).unwrap();
            chip.get().erases == 0
        });
        let full = writes.last().unwrap();
        give_back(store);
        full - 2
    };
    let chip = Flash::new(6);
    give_back(prepared(&chip, full));
    let image = chip.image();
    let (mut cuts, mut kept, mut erases) = (0, [0, 0], 0);
    for torn in TORN {
        for operation in 0.. {
            let chip = Flash::with(MockFlash::of(image.clone()));
            let mut store = start(&chip);
            chip.get().cut = Some((operation, torn));
            let mut durable = 0;
            while durable < 24 && store.set_setting(0, &value(durable + 1)).is_ok() {
                durable += 1;
            }
            give_back(store);
            let went = chip.get().off;
            erases = erases.max(chip.get().erases);
            chip.get().power_on();
            let mut store = start(&chip);
            let now = read(&mut store, 0);
            let is_new = now != value(durable);
            if is_new {
                assert!(went, "nothing was cut");
                assert_eq!(now, value(durable + 1), "operation {operation}, {torn:?}");
            }
            assert_eq!(read(&mut store, 1), [full; MAX_SETTING]);
            assert_eq!(read(&mut store, 2), b"another");
            assert!(
                store
                    .contacts()
                    .any(|peer| peer.address == Address([1; 20]))
            );
            kept[usize::from(is_new)] += 1;
            give_back(store);
            if !went {
                break;
            }
            cuts += 1;
        }
    }
    println!("{cuts} cuts, {kept:?} kept the old setting and the new one, {erases} erases");
    assert!(cuts > 100 && kept[0] > 0 && kept[1] > 0 && erases > 0);
}

/// A device with a contact and settings, one of them written so many times.
fn prepared(chip: &Flash, rounds: u8) -> Inner {
    let mut store = start(chip);
    store.set_identity(&[7; 32]).unwrap();
    assert!(store.add_contact(&Address([1; 20]), 0).unwrap());
    store.set_setting(2, b"another").unwrap();
    store.set_setting(0, &value(0)).unwrap();
    for round in 1..=rounds {
        store.set_setting(1, &[round; MAX_SETTING]).unwrap();
    }
    store
}

/// A setting as long as a relay with an invitation and one without, by turns.
fn value(round: u8) -> Vec<u8> {
    vec![round; if round.is_multiple_of(2) { 40 } else { 60 }]
}

fn start(chip: &Flash) -> Inner {
    let rng = ChaCha20Rng::seed_from_u64(chip.get().operations());
    let wipe = Wipe::in_place::<Flash>();
    let opened = Inner::open(
        chip.clone(),
        storage_key(1),
        rng,
        wipe,
        &mut NoAnchor,
        ram(),
    );
    let (store, boot) = opened.unwrap();
    assert!(matches!(boot, Boot::Fresh | Boot::Ready), "{boot:?}");
    store
}

fn read(store: &mut Inner, slot: u8) -> Vec<u8> {
    let mut value = [0; MAX_SETTING];
    let len = store.setting(slot, &mut value).unwrap().unwrap();
    value[..len].to_vec()
}
