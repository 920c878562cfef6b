//! F1: the power goes in every write and every erase of a life, in five ways; the device starts, goes
//! on, and nothing is lost, doubled, re-paired or sealed under a key that was used.
//!
//! Every day each second operation is cut, in one way by turns; `HUSHWIRE_F1=all` cuts each one in
//! every way.

mod common;

use common::{
    flash::{MockFlash, Torn},
    node::{Counter, Flash, Node, PAGE},
    script::{Life, VICTIM},
};
use hushwire_core::identity::Address;
use hushwire_flash::Boot;

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
