//! Power cuts, failing writes, damage.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_relay::Now;
use hushwire_relay::limits::Limits;
use hushwire_relay::relay::{Action, ConnId, PeerLimits, Relay};
use hushwire_relay::request::{Answer, Command, Request, Submission};
use hushwire_relay::store::{Embedded, Key, Store, Table, Write};

use crate::contract::{messages, open, put};
use crate::faulty_disk::{Dice, FaultyDisk, Part};

/// One commit: what it puts, and which earlier ones it deletes.
pub(crate) fn script() -> Vec<Vec<Write>> {
    (0..12u64)
        .map(|commit| {
            let fresh = (0..3).map(|n| put(commit * 3 + n, &[commit as u8; 300]));
            let old = (commit >= 2).then(|| Write::Delete(Key::Message((commit - 2) * 3)));
            fresh.chain(old).collect()
        })
        .collect()
}

/// The messages that stand after so many commits of the script.
pub(crate) fn state_after(commits: usize) -> Vec<(u64, Vec<u8>)> {
    state_of(&script()[..commits])
}

fn state_of(commits: &[Vec<Write>]) -> Vec<(u64, Vec<u8>)> {
    let mut rows = std::collections::BTreeMap::new();
    for write in commits.iter().flatten() {
        match write {
            Write::Put(Key::Message(arrival), row) => drop(rows.insert(*arrival, row.to_vec())),
            Write::Delete(Key::Message(arrival)) => drop(rows.remove(arrival)),
            _ => {}
        }
    }
    rows.into_iter().collect()
}

/// The power fails at every single write, sync and change of length of a script and of the closing
/// after it, with what is unsynced lost, kept, or there in parts: the store opens, has every commit
/// that was said to be durable, and the one under way whole or not at all.
#[test]
fn r2_power_cut_at_every_operation() {
    let (cuts, _) = cut_everywhere(&script());
    assert!(cuts > 6 * 24, "the script does nothing");
    println!("{cuts} power cuts");
}

/// The same where the file grows and shrinks: its length may be the old one after the cut, or the new one,
/// whatever became of the writes around it.
#[test]
fn r2_power_cut_while_the_file_grows_and_shrinks() {
    const ROWS: u64 = 40;
    let large = |n| put(n, &[n as u8; 15_000]);
    let grows = (0..3).map(|commit| (commit * ROWS..(commit + 1) * ROWS).map(large).collect());
    let shrinks = (0..3).rev().map(|commit| {
        let old = commit * ROWS..(commit + 1) * ROWS;
        old.map(|n| Write::Delete(Key::Message(n))).collect()
    });
    let (cuts, lengths) = cut_everywhere(&grows.chain(shrinks).collect::<Vec<_>>());
    assert!(lengths > 10, "the file is as long as it was");
    println!("{cuts} power cuts, {lengths} of them with a length that was not durable");
}

/// How many power cuts, and in how many of them a change of the length was unsynced.
fn cut_everywhere(script: &[Vec<Write>]) -> (u64, u64) {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    let base = disk.power_up(|| true);
    let before = disk.operations();
    script
        .iter()
        .for_each(|writes| store.commit(writes).unwrap());
    drop(store);
    let operations = disk.operations() - before;
    let states: Vec<_> = (0..=script.len())
        .map(|commits| state_of(&script[..commits]))
        .collect();

    let (mut cuts, mut lengths) = (0, 0);
    for cut in 0..operations {
        let disk = base.power_up(|| true);
        let store = open(&disk).unwrap();
        disk.cut_after(cut);
        let commits = script.iter();
        let durable = commits
            .take_while(|writes| store.commit(writes).is_ok())
            .count();
        drop(store);
        for variant in 0..6u64 {
            let mut dice = Dice::new(cut * 6 + variant);
            let after = disk.power_up_with(|part| match variant {
                0 => false,
                1 => true,
                2 => part == Part::Length,
                3 => part == Part::Sector,
                _ => dice.roll().is_multiple_of(2),
            });
            let context = format!("cut {cut} of {operations}, variant {variant}");
            let store = open(&after).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = messages(&store);
            let whole = found == states[durable] || states.get(durable + 1) == Some(&found);
            assert!(whole, "{context}: {durable} commits were durable");
            store.commit(&[put(9_999, b"goes on")]).unwrap();
            cuts += 1;
            lengths += u64::from(disk.unsynced_lengths() > 0);
        }
    }
    (cuts, lengths)
}

const LATER: Now = Now {
    mono_us: u64::MAX,
    unix_s: 1,
};
pub(crate) const ALICE: Address = Address([1; 20]);
pub(crate) const BOB: Address = Address([2; 20]);

/// The relay's logic on a store whose disk fails, until nothing is left to do; what it said.
pub(crate) fn settle(relay: &mut Relay, store: &dyn Store) -> Vec<Answer> {
    for _ in 0..4 {
        // No ack comes.
        relay.store_overdue(LATER);
        if let Some(writes) = relay.poll_commit() {
            let durable = store.commit(&writes).is_ok();
            relay.settle(durable);
        }
    }
    let mut said = Vec::new();
    while let Some(action) = relay.poll_action() {
        if let Action::Send(_, answer) = action {
            said.push(answer);
        }
    }
    said
}

#[test]
fn r4_a_failing_disk_accepts_nothing_serves_what_it_has_and_recovers() {
    let disk = FaultyDisk::default();
    let store = Arc::new(open(&disk).unwrap());
    let now = Now {
        mono_us: 0,
        unix_s: 1,
    };
    let mut relay = Relay::open(store.clone(), Limits::default(), [0; 32], now).unwrap();
    let limits = PeerLimits {
        max_record: 32_768,
        max_frame: 17_000,
        window: 8,
    };
    relay.connected(ConnId(1), ALICE, limits, now);
    relay.connected(ConnId(2), BOB, limits, now);
    let bundle = Arc::from(*b"bundle");
    relay.handle(
        ConnId(2),
        Request::Numbered(1, Command::Publish { counter: 1, bundle }),
        now,
    );
    relay.gone(ConnId(2));
    let submit = |relay: &mut Relay, envelope: &[u8]| {
        let id = EnvelopeId::of(envelope);
        let submission = Submission::new(BOB, id, envelope);
        relay.handle(ConnId(1), Request::Submit(submission), now);
        let said = settle(relay, &*store);
        said.into_iter().find(|answer| match answer {
            Answer::Accepted(of) | Answer::Rejected { id: of, .. } => *of == id,
            _ => false,
        })
    };
    let accepted = |envelope: &[u8]| Some(Answer::Accepted(EnvelopeId::of(envelope)));
    assert_eq!(submit(&mut relay, b"before"), accepted(b"before"));

    let mut bob = 3;
    let failures = [(true, true), (false, true), (true, false)];
    for (held, (writes, syncs)) in (1..).zip(failures) {
        disk.fail(writes, syncs);
        for n in 0..3u8 {
            let id = EnvelopeId::of(&[n]);
            let rejected = Answer::Rejected {
                id,
                reason: Reason::StoreTrouble,
                retry_s: 5,
            };
            assert_eq!(
                submit(&mut relay, &[n]),
                Some(rejected),
                "writes {writes} syncs {syncs}"
            );
            relay.connected(ConnId(bob), BOB, limits, now);
            let delivered = settle(&mut relay, &*store);
            relay.gone(ConnId(bob));
            bob += 1;
            assert_eq!(deliveries(&delivered), held, "reads go on");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let copied = store.copy_to(&elsewhere.path().join("store.redb")).unwrap();
        assert_eq!(copied.damaged, 0);
        let copy = Embedded::open(elsewhere.path(), 1 << 20).unwrap();
        assert_eq!(copy.epoch(), store.epoch());
        assert!(
            copy.count(Table::Messages).unwrap() >= held as u64,
            "a back-up"
        );
        disk.fail(false, false);
        let after = [u8::from(writes), u8::from(syncs), 99];
        assert_eq!(
            submit(&mut relay, &after),
            accepted(&after),
            "without a restart"
        );
    }

    relay.connected(ConnId(bob), BOB, limits, now);
    let delivered = settle(&mut relay, &*store);
    assert_eq!(
        deliveries(&delivered),
        4,
        "what was accepted, and nothing else"
    );
}

fn deliveries(said: &[Answer]) -> usize {
    let delivered = |answer: &&Answer| matches!(answer, Answer::Deliver(_));
    said.iter().filter(delivered).count()
}

/// The file has grown into a disk that has no room for it: its free pages are holes. What is deleted goes all the
/// same, and then there is room, without a restart.
#[test]
fn r4_a_file_that_outgrew_its_disk_is_emptied_without_a_restart() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    let put = |n: u64| put(n, &[7; 15_000]);
    store.commit(&[put(0)]).unwrap();
    disk.limit_room(150);
    let full = (1..1_000)
        .find(|n| store.commit(&[put(*n)]).is_err())
        .unwrap();
    assert!(full > 10, "{full}");
    for n in 0..full {
        // The engine picks a page with a place now or then; the relay asks again.
        let deletes = || store.commit(&[Write::Delete(Key::Message(n))]);
        assert!((0..3).any(|_| deletes().is_ok()), "{n} of {full}");
    }
    store.commit(&[put(full)]).unwrap();
    assert_eq!(store.count(Table::Messages).unwrap(), 1);
}

/// A sync that fails forgets what it should have written, though reads show it. What is accepted
/// afterwards stands on that: it survives a power cut all the same, whichever sync of a commit failed.
#[test]
fn r4_what_a_failed_sync_forgot_is_written_again() {
    let base = FaultyDisk::default();
    drop(open(&base).unwrap());
    for good in 0..6 {
        let disk = base.power_up(|| true);
        let store = open(&disk).unwrap();
        for arrival in 0..good {
            store.commit(&[put(arrival, &[1; 900])]).unwrap();
        }
        for arrival in 100..103 {
            disk.fail(false, true);
            assert!(store.commit(&[put(arrival, &[2; 900])]).is_err());
            // Reads may have opened the file meanwhile, or not.
            if arrival.is_multiple_of(2) {
                assert_eq!(store.get(&Key::Message(0)).unwrap().is_some(), good > 0);
            }
            disk.fail(false, false);
            store.commit(&[put(arrival + 100, &[3; 900])]).unwrap();
        }
        let after = disk.power_up(|| false);
        drop(store);
        let store = open(&after).unwrap();
        let mut found = messages(&store);
        // What failed may be there or not: nobody was told that it is.
        found.retain(|(arrival, _)| !(100..200).contains(arrival));
        let arrivals = (0..good).chain(200..203);
        let expected = arrivals.map(|n| (n, vec![if n < 200 { 1 } else { 3 }; 900]));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{good} commits before");
    }
}
