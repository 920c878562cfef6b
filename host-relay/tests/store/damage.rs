//! R3: a file that the disk altered or cut off.

use std::ops::ControlFlow;
use std::sync::Arc;

use hushwire_core::wire::EnvelopeId;
use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::{ConnId, PeerLimits, Relay};
use hushwire_relay::request::{Answer, Command, Request, Submission};
use hushwire_relay::store::{Store, StoreError, Table, Walked};

use crate::contract::open;
use crate::faults::{ALICE, BOB, script, settle, state_after};
use crate::faulty_disk::{Dice, FaultyDisk};

const LIMITS: PeerLimits = PeerLimits {
    max_record: 32_768,
    max_frame: 17_000,
    window: 64,
};
const NOW: Now = Now {
    mono_us: 0,
    unix_s: 1,
};

/// What became of the script's rows on a damaged disk.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The store does not open.
    Refused,
    /// It opens, and says that it cannot be read.
    Reported,
    /// So many rows were set aside; all others are there.
    SetAside(u64),
}

/// Opens and reads everything: nothing altered is served, nothing is missing in silence.
fn read(disk: &FaultyDisk, context: &str) -> Outcome {
    let expected = state_after(12);
    let store = match open(disk) {
        Ok(store) => store,
        Err(error) => {
            let said = error.to_string();
            let helps = said.contains("restore");
            let damage = matches!(error, StoreError::Damaged(_) | StoreError::Altered(_));
            // A number of the format that was altered to a higher one reads as a newer store; a
            // file that is too short is an error of reading.
            assert!(helps || !damage, "{context}: {said}");
            return Outcome::Refused;
        }
    };
    let mut found = Vec::new();
    let walked = store.walk(Table::Messages, 0, &mut |arrival, row| {
        found.push((arrival, row.to_vec()));
        ControlFlow::Continue(())
    });
    for row in &found {
        assert!(
            expected.contains(row),
            "{context}: an altered row was served"
        );
    }
    match walked {
        Err(error) => {
            assert!(error.to_string().contains("store"), "{error}");
            Outcome::Reported
        }
        Ok(Walked { damaged: aside, .. }) => {
            let all = found.len() as u64 + aside;
            assert_eq!(all, expected.len() as u64, "{context}: missing in silence");
            Outcome::SetAside(aside)
        }
    }
}

fn written() -> FaultyDisk {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    for writes in script() {
        store.commit(&writes).unwrap();
    }
    drop(store);
    disk
}

/// Bits flipped at many places, one at a time: half of them where the file is not empty.
#[test]
fn r3_flipped_bits_are_set_aside_reported_or_harmless() {
    let disk = written();
    let (mut refused, mut reported, mut aside, mut harmless) = (0, 0, 0, 0);
    let mut dice = Dice::new(3);
    for _ in 0..400 {
        let damaged = disk.power_up(|| true);
        let at = match dice.roll() % 2 {
            0 => dice.roll() as usize % disk.len(),
            _ => disk.used(dice.roll() as usize),
        };
        damaged.damage(at, 1 << (dice.roll() % 8));
        match read(&damaged, &format!("byte {at}")) {
            Outcome::Refused => refused += 1,
            Outcome::Reported => reported += 1,
            Outcome::SetAside(0) => harmless += 1,
            Outcome::SetAside(_) => aside += 1,
        }
    }
    println!("{aside} set aside, {refused} refused, {reported} reported, {harmless} harmless");
    assert!(aside > 0 && refused + reported > 0 && harmless > 0);
}

#[test]
fn r3_a_cut_file_is_refused_or_whole() {
    let disk = written();
    let mut dice = Dice::new(4);
    let mut refused = 0;
    for cut in 0..60 {
        let damaged = disk.power_up(|| true);
        let len = match cut {
            0 => 1,
            1 => disk.len() - 1,
            _ => dice.roll() as usize % disk.len(),
        };
        damaged.truncate(len);
        if read(&damaged, &format!("cut to {len}")) == Outcome::Refused {
            refused += 1;
        }
    }
    println!("{refused} of 60 cut files were refused");
    assert!(refused > 30);
}

/// One message of three is altered on the disk: the relay starts, delivers the other two, and takes more. The
/// altered one stays where it is, for another copy of the store may have it sound.
#[test]
fn r3_a_mailbox_goes_on_without_its_altered_row() {
    for altered in 0..3 {
        goes_on_without(altered);
    }
}

fn goes_on_without(altered: usize) {
    let disk = FaultyDisk::default();
    let store = Arc::new(open(&disk).unwrap());
    let mut relay = Relay::open(store.clone(), Limits::default(), [0; 32], NOW).unwrap();
    relay.connected(ConnId(1), ALICE, LIMITS, NOW);
    relay.connected(ConnId(2), BOB, LIMITS, NOW);
    let bundle = Arc::from(*b"bundle");
    let publish = Command::Publish { counter: 1, bundle };
    relay.handle(ConnId(2), Request::Numbered(1, publish), NOW);
    relay.gone(ConnId(2));
    let envelopes = [[0x11; 500], [0x22; 500], [0x33; 500]];
    for envelope in envelopes {
        submit(&mut relay, envelope);
    }
    let said = settle(&mut relay, &*store);
    let accepted = |answer: &&Answer| matches!(answer, Answer::Accepted(_));
    assert_eq!(said.iter().filter(accepted).count(), 3);
    drop(relay);
    drop(store);

    let places = disk.find(&envelopes[altered]);
    assert!(!places.is_empty());
    for at in places {
        disk.damage(at + 250, 1);
    }
    let store = Arc::new(open(&disk).unwrap());
    let mut relay = Relay::open(store.clone(), Limits::default(), [0; 32], NOW).unwrap();
    assert_eq!(relay.tally().damaged_rows, 1, "the metric");
    assert_eq!(relay.tally().stored_messages, 2);
    relay.connected(ConnId(1), ALICE, LIMITS, NOW);
    submit(&mut relay, [0x44; 500]);
    settle(&mut relay, &*store);
    assert_eq!(
        store.count(Table::Messages).unwrap(),
        4,
        "none in its place"
    );

    relay.connected(ConnId(2), BOB, LIMITS, NOW);
    let said = settle(&mut relay, &*store);
    let delivered: Vec<_> = said
        .iter()
        .filter_map(|answer| match answer {
            Answer::Deliver(record) => Some(record[80]),
            _ => None,
        })
        .collect();
    let mut expected = vec![0x11, 0x22, 0x33, 0x44];
    expected.remove(altered);
    assert_eq!(delivered, expected);
}

fn submit(relay: &mut Relay, envelope: [u8; 500]) {
    let submission = Submission::new(BOB, EnvelopeId::of(&envelope), &envelope);
    relay.handle(ConnId(1), Request::Submit(submission), NOW);
}
