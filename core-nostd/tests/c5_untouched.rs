//! C5: an open that fails changes no byte and draws no randomness. `HUSHWIRE_FORGERIES` random
//! forgeries (20,000 by default; 1,000,000 in full), beside every single bit of a valid message.

mod common;

use common::{
    encode,
    lab::{feed, frame, next_frame, size, state_but_suspicion},
    open, pair, seal,
    world::World,
};
use hushwire_core::{
    crypto::Software,
    limits::BUCKETS,
    session::OpenError,
    wire::{
        answer::Answer,
        envelope::{OVERHEAD, START_LEN},
    },
};
use rand_chacha::rand_core::Rng as _;

const SEED: u64 = 0x4335;

/// A forgery: noise, or pieces of true messages put together anew.
fn forge(random: &mut common::ChaCha20Rng, models: &[Vec<u8>]) -> Vec<u8> {
    let mut pick = |below: usize| random.next_u64() as usize % below;
    let mut bytes = models[pick(models.len())].clone();
    match pick(6) {
        0 => {
            let start = if pick(2) == 0 { START_LEN } else { 0 };
            bytes = vec![0; BUCKETS[pick(5)] + OVERHEAD + start];
            let kind = if start == 0 { 1 } else { 2 + pick(2) as u8 };
            random.fill_bytes(&mut bytes);
            bytes[..3].copy_from_slice(&[1, 1, kind]);
        }
        1 => {
            let len = pick(bytes.len());
            bytes.truncate(len);
        }
        2 => {
            let other = &models[pick(models.len())];
            let cut = pick(bytes.len().min(other.len()));
            let whole = bytes.clone();
            bytes[cut..].fill(0);
            let tail = bytes.len().min(other.len());
            bytes[cut..tail].copy_from_slice(&other[cut..tail]);
            if bytes == *other || bytes == whole {
                bytes[cut] ^= 1;
            }
        }
        3 => {
            let (from, to) = (pick(bytes.len()), pick(bytes.len()));
            let len = 1 + pick(bytes.len() - from.max(to));
            let whole = bytes.clone();
            bytes.copy_within(from..from + len, to);
            if bytes == whole {
                bytes[to] ^= 0x10;
            }
        }
        _ => {
            for _ in 0..=pick(8) {
                let at = pick(bytes.len());
                bytes[at] ^= 1 + pick(255) as u8;
            }
        }
    }
    bytes
}

#[test]
fn of_a_session_by_random_forgeries() {
    let count = size("HUSHWIRE_FORGERIES", 20_000);
    let mut random = common::rng(SEED);
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    let mut tried = 0;
    let mut refused_again = 0;
    let mut rounds = 0_u32;
    while tried < count {
        // True messages: behind and ahead in the current chain, or all of a chain that is not begun.
        let mut spent = seal(&mut b, &mut bob.rng, b"from here");
        let own = spent.clone();
        let mut waiting = Vec::new();
        for n in 0..4_u8 {
            if n == 2 && rounds.is_multiple_of(2) {
                spent = seal(&mut a, &mut alice.rng, b"spent");
                open(&mut b, &spent).unwrap();
            }
            waiting.push(seal(&mut a, &mut alice.rng, &[n; 40]));
        }
        rounds += 1;
        let mut models = waiting.clone();
        models.extend([spent, own.clone()]);
        let before = encode(&mut b);
        for _ in 0..200 {
            let forged = forge(&mut random, &models);
            if waiting.contains(&forged) {
                continue;
            }
            let mut bytes = forged.clone();
            let error = b.open(&mut Software, &mut bytes).unwrap_err();
            assert_eq!(error, OpenError::Unopenable, "seed {SEED:x}, {tried}");
            assert_eq!(bytes, forged, "seed {SEED:x}, {tried}");
            assert!(
                encode(&mut b) == before,
                "seed {SEED:x}, {tried}: state changed"
            );
            tried += 1;
        }
        for (n, envelope) in waiting.iter().enumerate() {
            assert_eq!(open(&mut b, envelope).unwrap(), [n as u8; 40]);
            refused_again += u64::from(open(&mut b, envelope).is_none());
        }
        open(&mut a, &own).unwrap();
    }
    println!("seed {SEED:x}: {tried} forgeries, {refused_again} doubles, state identical");
}

#[test]
fn of_a_device_by_bits_and_forgeries() {
    let count = size("HUSHWIRE_FORGERIES", 20_000) / 10;
    let mut random = common::rng(SEED + 1);
    let mut world = World::published(2, 1);
    world.acquaint(0, 1);
    world.disconnect(1);
    world.send(0, 1, b"good").unwrap();
    world.speak(0);
    let (sender, good) = world.withhold(1).pop().unwrap();
    world.connect(1);
    world.pump(1, 64);
    let models: Vec<_> = world.recorded.iter().map(|(.., e)| e.clone()).collect();
    let now = world.now;
    let bits = (0..good.len() * 8).map(|bit| {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        bad
    });
    let forgeries: Vec<_> = (0..count).map(|_| forge(&mut random, &models)).collect();
    let before = (
        state_but_suspicion(&mut world.nodes[1], &sender),
        world.nodes[1].rng.get_word_pos(),
        world.nodes[1].store.durable.own.clone(),
        world.nodes[1].store.durable.inbox.len(),
    );
    let mut tried = 0;
    for envelope in bits.chain(forgeries) {
        if envelope.is_empty() || models.contains(&envelope) {
            continue;
        }
        let deliver = Answer::Deliver {
            sequence: 0,
            stored_at: 0,
            sender,
            envelope: &envelope,
        };
        let bob = &mut world.nodes[1];
        feed(bob, now, &mut frame(&deliver)).unwrap();
        assert_eq!(next_frame(bob, now).unwrap()[0], 0x03, "a refusal");
        assert_eq!(next_frame(bob, now), None);
        world.trust(1, 0);
        let bob = &mut world.nodes[1];
        let after = (
            state_but_suspicion(bob, &sender),
            bob.rng.get_word_pos(),
            bob.store.durable.own.clone(),
            bob.store.durable.inbox.len(),
        );
        assert!(after == before, "forgery {tried} changed the device");
        tried += 1;
    }
    println!("{tried} forgeries to a device: state identical, no randomness drawn");
    assert_eq!(world.deliver(1, sender, &good), common::lab::Verdict::Acked);
}
