//! F1: the power goes in every write and every erase of a life, in four ways; the device starts, goes
//! on, and nothing is lost, doubled, re-paired or sealed under a key that was used.
//!
//! Every day each operation is cut in one way, by turns; `HUSHWIRE_F1=all` cuts each in all ways.

mod common;

use common::{
    flash::{MockFlash, Torn},
    node::{Flash, PAGE},
    script::{Life, VICTIM},
};
use hushwire_flash::Boot;

const TORN: [Torn; 5] = [
    Torn::Nothing,
    Torn::All,
    Torn::First(7),
    Torn::Last(9),
    Torn::First(15),
];

/// Runs the life with a cut; returns whether the power went.
fn cut_at(operation: u64, torn: Torn) -> bool {
    let mut flash = MockFlash::<4, PAGE>::new(16);
    flash.cut = Some((operation, torn));
    let chip = Flash::with(flash);
    let mut life = Life::begin(chip.clone());
    life.everything();
    assert_eq!(life.restarts(), 0, "a conversation began anew");
    for boot in &life.world.nodes[VICTIM].boots {
        assert!(matches!(boot, Boot::Fresh | Boot::Ready), "{boot:?}");
    }
    chip.get().cut.is_none()
}

#[test]
fn f1_power_cut_sweep() {
    let all = std::env::var("HUSHWIRE_F1").is_ok_and(|value| value == "all");
    let mut cuts = 0;
    for operation in 0.. {
        let ways = if all { TORN.len() } else { 1 };
        let mut went = false;
        for way in 0..ways {
            let torn = TORN[(operation as usize + way) % TORN.len()];
            println!("operation {operation}, {torn:?}");
            went = cut_at(operation, torn);
            cuts += u64::from(went);
        }
        if !went {
            break;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 300);
}
