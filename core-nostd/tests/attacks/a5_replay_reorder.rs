//! A5: replayed, reordered, dropped and duplicated, `HUSHWIRE_A5` of each (2,500 by default; 100,000
//! in full). Each plaintext opens at most once, and a failure changes no byte.

use rand_chacha::rand_core::Rng as _;

use crate::common;
use crate::common::{
    encode,
    lab::{Verdict, size, state_but_suspicion},
    open, pair, seal,
    world::World,
};

#[derive(Default, Debug)]
struct Counts {
    sealed: u64,
    opened: u64,
    replayed: u64,
    reordered: u64,
    dropped: u64,
    duplicated: u64,
}

#[test]
fn by_a_relay_that_does_all_of_it() {
    const SEED: u64 = 0x4135;
    let want = size("HUSHWIRE_A5", 2500);
    let mut rng = common::rng(SEED);
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    let mut counts = Counts::default();
    let mut old: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    let mut side = 0;
    let least = |c: &Counts| c.replayed.min(c.reordered).min(c.dropped).min(c.duplicated);
    while least(&counts) < want {
        let (from, sender_rng, to) = match side {
            0 => (&mut a, &mut alice.rng, &mut b),
            _ => (&mut b, &mut bob.rng, &mut a),
        };
        let mut flight: Vec<_> = (0..1 + rng.next_u64() % 12)
            .map(|_| {
                counts.sealed += 1;
                let body = counts.sealed.to_be_bytes();
                (counts.sealed, seal(from, sender_rng, &body))
            })
            .collect();
        for at in (1..flight.len()).rev() {
            flight.swap(at, (rng.next_u64() % (at as u64 + 1)) as usize);
        }
        let mut newest = 0;
        // Whatever else happens, one of a flight arrives: else the next one is no new chain's.
        let spared = rng.next_u64() as usize % flight.len();
        for (at, (n, envelope)) in flight.iter().enumerate() {
            if at != spared && rng.next_u64().is_multiple_of(4) {
                counts.dropped += 1;
                continue;
            }
            counts.reordered += u64::from(*n < newest);
            newest = newest.max(*n);
            assert_eq!(
                open(to, envelope).unwrap(),
                n.to_be_bytes(),
                "seed {SEED:x}"
            );
            counts.opened += 1;
            let before = encode(to);
            assert_eq!(open(to, envelope), None, "seed {SEED:x}: doubled");
            counts.duplicated += 1;
            if !old[side].is_empty() {
                let pick = rng.next_u64() as usize % old[side].len();
                assert_eq!(open(to, &old[side][pick]), None, "seed {SEED:x}: replayed");
                counts.replayed += 1;
            }
            assert_eq!(encode(to), before, "seed {SEED:x}");
        }
        let opened = flight.swap_remove(spared).1;
        if old[side].len() < 512 {
            old[side].push(opened);
        } else {
            let place = rng.next_u64() as usize % 512;
            old[side][place] = opened;
        }
        side = 1 - side;
    }
    println!("seed {SEED:x}: {counts:?}");
}

/// A first message, replayed to the device that opened it, at once and long after.
fn first_message_replayed(with: bool) {
    let (alice, bob) = (0, 1);
    let mut world = World::published(2, 7);
    let (sender, owner) = (world.nodes[alice].address, world.nodes[bob].address);
    world.disconnect(bob);
    if !with {
        world.relay.get_mut(&owner).unwrap().prekeys.clear();
    }
    world.send(alice, bob, b"once").unwrap();
    world.speak(alice);
    let start = world.sealed(alice, bob).pop().unwrap();
    assert_eq!(start[2], if with { 2 } else { 3 });
    world.settle(1);
    let mut verdicts = Vec::new();
    for round in 0..60_u8 {
        if round > 20 {
            world.send(alice, bob, &[round]).unwrap();
            world.settle(1);
        }
        if round == 40 {
            world.acquaint(alice, bob);
        }
        let before = state_but_suspicion(&mut world.nodes[bob], &sender);
        verdicts.push(world.deliver(bob, sender, &start));
        assert_eq!(
            state_but_suspicion(&mut world.nodes[bob], &sender),
            before,
            "round {round}"
        );
        assert!(world.nodes[bob].store.tentative(&sender).is_none());
    }
    // While it is remembered its ack was missed; later it is anybody's garbage.
    assert_eq!(verdicts[0], Verdict::Acked);
    assert_eq!(verdicts[59], Verdict::Refused);
    let bodies = world.bodies_from(bob, alice);
    assert_eq!(bodies.iter().filter(|body| *body == b"once").count(), 1);
    println!(
        "first message, one-time prekey {with}: {} replays",
        verdicts.len()
    );
}

#[test]
fn a_first_message_with_a_one_time_prekey() {
    first_message_replayed(true);
}

#[test]
fn a_first_message_without_one() {
    first_message_replayed(false);
}
