//! R2 beneath the relay's logic: what anybody was told of is as it was said to be after a power cut at any
//! operation, and what is kept of one thing in two places agrees.

mod after;
mod known;
mod script;

use std::collections::HashMap;

use crate::contract::open;
use crate::faulty_disk::{Dice, FaultyDisk, Part};

use known::{BOB, CAROL, End, FRANK, Kept, Known};
use script::run;

/// Messages to Bob in the script; `HUSHWIRE_POWER_CUT_MESSAGES=60` is the long run.
fn messages() -> u8 {
    let given = std::env::var("HUSHWIRE_POWER_CUT_MESSAGES").ok();
    given.map_or(6, |text| text.parse().expect("a number below 256"))
}

/// How much of what is unsynced stays: prefixes, spread over all of it where there are many.
const PREFIXES: usize = 4;
/// And in part, as a disk's cache would have it: without the lengths, with nothing but them, by the dice.
const MIXTURES: usize = 4;

/// At every write, sync and change of length: what is unsynced is all lost, or kept up to any sector (the
/// last write torn there), or kept in part.
#[test]
fn r2_power_cut_loses_nothing_accepted() {
    let messages = messages();
    // A new store is made under another name, and is whole when it gets its own.
    let fresh = FaultyDisk::default();
    drop(open(&fresh).unwrap());
    let whole = fresh.power_up(|| true);
    let mut known = Known::default();
    run(&whole, messages, &mut known);
    assert_all_was_done(&known);
    after::check(&whole.power_up(|| false), messages, &known, "no cut");
    let operations = whole.operations();

    let (mut cuts, mut accepted, mut told) = (0, 0, 0);
    for cut in 0..operations {
        let disk = fresh.power_up(|| true);
        disk.cut_after(cut);
        let mut known = Known::default();
        run(&disk, messages, &mut known);

        let parts = disk.unsynced_parts();
        let step = parts.div_ceil(PREFIXES).max(1);
        let prefixes = parts.div_ceil(step) + 1;
        let mut dice = Dice::new(cut);
        for variant in 0..prefixes + MIXTURES {
            let mut part = 0;
            let after = disk.power_up_with(|kind| {
                part += 1;
                match variant.checked_sub(prefixes) {
                    None => part <= variant * step,
                    Some(0) => kind == Part::Sector,
                    Some(1) => kind == Part::Length,
                    Some(_) => dice.roll().is_multiple_of(2),
                }
            });
            let context = format!("cut {cut} of {operations}, variant {variant}");
            after::check(&after, messages, &known, &context);
            cuts += 1;
            accepted += known.accepted();
            told += known.handed_out.len();
        }
    }
    println!(
        "{cuts} power cuts at {operations} operations, {accepted} accepted and {told} prekeys were \
         looked for"
    );
    assert!(accepted > 100 && told > 100);
}

/// A script in which something goes wrong by itself tests nothing.
fn assert_all_was_done(known: &Known) {
    fn settled<K, T: Clone + PartialEq>(all: &HashMap<K, Kept<T>>) -> bool {
        !all.is_empty() && all.values().all(Kept::is_settled)
    }
    assert!(settled(&known.registered) && settled(&known.bundles) && settled(&known.modes));
    assert!(settled(&known.contacts) && settled(&known.prekeys) && settled(&known.expected));
    assert!(settled(&known.no_room) && settled(&known.noted) && settled(&known.banned));
    assert!(!known.registered[&CAROL].said && !known.banned[&FRANK].said);
    let (_, invitation) = known.invitation.as_ref().unwrap();
    assert!(invitation.said);
    let names: Vec<_> = known
        .names
        .iter()
        .map(|(name, kept)| (*name, kept.said))
        .collect();
    assert_eq!(names, [("alice", Some(BOB)), ("carol", None)]);
    assert!(known.handed_out.len() > 2 && known.unheard_fetches[&BOB] == 0);
    for end in [End::Acked, End::Refused, End::Expired] {
        let ended = known
            .messages
            .values()
            .filter(|message| message.end == Some(end));
        let ended: Vec<_> = ended.collect();
        assert!(ended.len() > 1, "{end:?}");
        assert!(
            ended
                .iter()
                .all(|message| message.ended && message.accepted)
        );
    }
}
