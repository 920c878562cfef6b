//! R2 beneath the relay's logic: what was accepted survives a power cut at any operation.

use std::collections::HashSet;
use std::sync::Arc;

use hushwire_core::wire::EnvelopeId;
use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::{ConnId, PeerLimits, Relay};
use hushwire_relay::request::{Answer, Command, Request, Submission};

use crate::contract::open;
use crate::faults::{ALICE, BOB, settle};
use crate::faulty_disk::{Dice, FaultyDisk};

const LIMITS: PeerLimits = PeerLimits {
    max_record: 32_768,
    max_frame: 17_000,
    window: 4,
};
const NOW: Now = Now {
    mono_us: 0,
    unix_s: 1,
};

/// Messages of the script; `HUSHWIRE_POWER_CUT_MESSAGES=60` is the long run.
fn messages() -> u8 {
    let given = std::env::var("HUSHWIRE_POWER_CUT_MESSAGES").ok();
    given.map_or(6, |text| text.parse().expect("a number below 256"))
}

/// What the script's clients know when the power is gone.
#[derive(Default)]
struct Known {
    accepted: HashSet<EnvelopeId>,
    /// Delivered.
    received: HashSet<EnvelopeId>,
    /// Said by Bob to be his: these may be gone.
    acked: HashSet<EnvelopeId>,
}

impl Known {
    fn hear(&mut self, said: &[Answer]) {
        for answer in said {
            match answer {
                Answer::Accepted(id) => {
                    self.accepted.insert(*id);
                }
                Answer::Deliver(record) => {
                    self.received.insert(EnvelopeId::of(&record[80..]));
                }
                _ => {}
            }
        }
    }
}

/// Room for all of the long run from one sender.
fn limits() -> Limits {
    Limits {
        mailbox_messages: 1024,
        ..Limits::default()
    }
}

/// Bob registers, then Alice writes to him; he is away for every other message, and acks one of three.
fn run(disk: &FaultyDisk, messages: u8, known: &mut Known) {
    let Ok(store) = open(disk).map(Arc::new) else {
        return;
    };
    let Ok(mut relay) = Relay::open(store.clone(), limits(), [0; 32], NOW) else {
        return;
    };
    relay.connected(ConnId(1), ALICE, LIMITS, NOW);
    relay.connected(ConnId(2), BOB, LIMITS, NOW);
    let bundle = Arc::from(*b"bundle");
    let publish = Command::Publish { counter: 1, bundle };
    relay.handle(ConnId(2), Request::Numbered(1, publish), NOW);
    known.hear(&settle(&mut relay, &*store));
    for n in 0..messages {
        match n % 2 {
            0 => relay.gone(ConnId(2)),
            _ => relay.connected(ConnId(2), BOB, LIMITS, NOW),
        }
        let envelope = [n; 400];
        let id = EnvelopeId::of(&envelope);
        let submission = Submission::new(BOB, id, &envelope);
        relay.handle(ConnId(1), Request::Submit(submission), NOW);
        known.hear(&settle(&mut relay, &*store));
        let is_there = n % 2 == 1;
        let unacked = known.received.difference(&known.acked).next().copied();
        if let Some(id) = unacked.filter(|_| is_there && n % 3 == 0) {
            relay.handle(ConnId(2), Request::Ack(id), NOW);
            known.acked.insert(id);
            known.hear(&settle(&mut relay, &*store));
        }
    }
}

/// The power comes back: what Bob finds in his mailbox.
fn waiting(disk: &FaultyDisk, context: &str) -> HashSet<EnvelopeId> {
    let store = Arc::new(open(disk).unwrap_or_else(|error| panic!("{context}: {error}")));
    let opened = Relay::open(store.clone(), limits(), [0; 32], NOW);
    let mut relay = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(relay.tally().damaged_rows, 0, "{context}");
    let mut known = Known::default();
    relay.connected(ConnId(2), BOB, LIMITS, NOW);
    loop {
        let before = known.received.len();
        known.hear(&settle(&mut relay, &*store));
        if known.received.len() == before {
            return known.received;
        }
        for id in known.received.clone() {
            relay.handle(ConnId(2), Request::Ack(id), NOW);
        }
    }
}

/// At every write, sync and change of length: the unsynced writes are all lost, or kept up to any
/// sector (the last write torn there), or kept in part as a disk's cache would.
#[test]
fn r2_power_cut_loses_nothing_accepted() {
    let messages = messages();
    // A new store is made under another name, and is whole when it gets its own.
    let fresh = FaultyDisk::default();
    drop(open(&fresh).unwrap());
    let whole = fresh.power_up(|| true);
    let mut known = Known::default();
    run(&whole, messages, &mut known);
    assert_eq!(known.accepted.len(), usize::from(messages));
    assert!(!known.acked.is_empty());
    let operations = whole.operations();

    let (mut cuts, mut checked) = (0, 0);
    for cut in 0..operations {
        let disk = fresh.power_up(|| true);
        disk.cut_after(cut);
        let mut known = Known::default();
        run(&disk, messages, &mut known);

        let sectors = disk.unsynced_parts();
        // Every prefix where there are few; else the same number, spread over all.
        let step = sectors.div_ceil(8).max(1);
        let mut dice = Dice::new(cut);
        for variant in 0..=sectors.div_ceil(step) + 1 {
            let kept_whole = variant * step;
            let mut sector = 0;
            let after = disk.power_up(|| {
                sector += 1;
                match variant > sectors.div_ceil(step) {
                    true => dice.roll().is_multiple_of(2),
                    false => sector <= kept_whole,
                }
            });
            let context = format!("cut {cut} of {operations}, variant {variant}");
            let found = waiting(&after, &context);
            for id in &known.accepted {
                let has = found.contains(id) || known.acked.contains(id);
                assert!(has, "{context}: accepted and lost");
                checked += 1;
            }
            cuts += 1;
        }
    }
    println!("{cuts} power cuts at {operations} operations, {checked} accepted were looked for");
    assert!(checked > 100);
}
