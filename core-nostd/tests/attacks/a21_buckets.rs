//! A21: lengths on the wire are the documented buckets, whatever is said.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_core::{
    crypto::Software,
    evidence,
    handshake::Initiator,
    limits::{BUCKETS, MAX_BODY},
    session::{Content, Kind},
    wire::{
        MessageId,
        bundle::Bundle,
        envelope::{OVERHEAD, START_LEN},
    },
};

use crate::common;
use crate::common::{Party, identity, lab::sign_bundle, seal, world::World};

fn lawful(start: bool) -> BTreeSet<usize> {
    let extra = if start { START_LEN } else { 0 };
    BUCKETS
        .iter()
        .map(|bucket| bucket + OVERHEAD + extra)
        .collect()
}

#[test]
fn every_length_of_a_session() {
    let (mut alice, mut bob) = (Party::new(1), Party::new(2));
    let owner = bob.public.address();
    let mut unsigned = bob.bundle();
    unsigned.truncate(unsigned.len() - 64);
    unsigned[76..78].copy_from_slice(&(MAX_BODY as u16).to_be_bytes());
    let bundle = sign_bundle(&mut identity(2), &owner, &unsigned);
    let verified = Bundle::parse(&bundle)
        .unwrap()
        .verify(&mut Software, &owner)
        .unwrap();
    let body = vec![0x55; MAX_BODY];
    let mut out = vec![0; MAX_BODY + 512];
    let mut seen = BTreeMap::new();
    for start in [true, false] {
        let mut a: common::Ses = Initiator::new(&alice.public, &verified, 1024)
            .unwrap()
            .start(&mut Software, &mut alice.rng, &mut alice.identity, None)
            .unwrap();
        if !start {
            let first = seal(&mut a, &mut alice.rng, b"first");
            let (mut b, ..) = bob.respond(&first).unwrap();
            let answer = seal(&mut b, &mut bob.rng, b"answer");
            common::open(&mut a, &answer).unwrap();
        }
        let edges = BUCKETS
            .iter()
            .flat_map(|bucket| [bucket - 1, *bucket, bucket + 1]);
        for len in (0..=1100).chain(edges).filter(|len| *len <= MAX_BODY) {
            let content = Content {
                kind: Kind::DATA,
                id: MessageId([1; 16]),
                body: &body[..len],
            };
            let sealed = a.seal(&mut Software, &mut alice.rng, &content, &mut out);
            let bytes = match sealed.unwrap().release_covered() {
                Ok(bytes) => bytes.len(),
                Err(sealed) => {
                    let len = |(): &mut (), p: &_| sealed.release(p).len();
                    evidence::after(&mut (), |()| Ok::<(), ()>(()), len).unwrap()
                }
            };
            assert!(lawful(start).contains(&bytes), "{len} bytes: {bytes}");
            let smallest = BUCKETS.into_iter().find(|bucket| *bucket >= len).unwrap();
            assert_eq!(
                bytes,
                smallest + OVERHEAD + if start { START_LEN } else { 0 }
            );
            *seen.entry(bytes).or_insert(0_u32) += 1;
        }
    }
    println!("{} lengths on the wire: {seen:?}", seen.len());
    assert_eq!(seen.len(), 2 * BUCKETS.len());
}

#[test]
fn everything_that_devices_say() {
    let mut world = World::published(3, 5);
    for len in (0..=1024).step_by(61) {
        world.send(0, 1, &vec![1; len]).unwrap();
        world.send(1, 0, &vec![2; len]).unwrap();
        world.settle(1);
    }
    // Restarts, probes and repeats, too.
    world.lose_session(0, 1);
    world.send(0, 1, b"again").unwrap();
    world.settle(5);
    let mut seen = BTreeMap::new();
    for (.., envelope) in &world.recorded {
        assert!(lawful(common::lab::is_start(envelope)).contains(&envelope.len()));
        *seen.entry(envelope.len()).or_insert(0_u32) += 1;
    }
    println!("{} envelopes of devices: {seen:?}", world.recorded.len());
}
