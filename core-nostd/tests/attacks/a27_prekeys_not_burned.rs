//! A27: garbage never burns a one-time prekey. `HUSHWIRE_A27` spoiled starts on each (40 by default).

use rand_chacha::rand_core::Rng as _;

use crate::common::{
    Party,
    lab::{Verdict, size},
    rng, seal,
    world::{PREKEYS, World},
};

const BOB: usize = 1;
const CAROL: usize = 2;

#[test]
fn by_spoiled_starts() {
    const SEED: u64 = 0x4127;
    let each = size("HUSHWIRE_A27", 40);
    let mut random = rng(SEED);
    let mut world = World::published(3, 1);
    let (bob, carol) = (world.nodes[BOB].address, world.nodes[CAROL].address);
    let mut writer = Party::new(3);
    assert_eq!(writer.public.address(), carol);
    let starts: Vec<_> = (0..PREKEYS)
        .map(|n| {
            let mut session = world.start_as(&mut writer, BOB, true);
            seal(&mut session, &mut writer.rng, &[n as u8])
        })
        .collect();
    assert!(world.relay[&bob].prekeys.is_empty());
    let own = world.nodes[BOB].store.durable.own.clone();
    let mut spoiled = 0;
    for start in &starts {
        for _ in 0..each {
            let mut bad = start.clone();
            // Beside the prekeys' own ids: with another id it is another key's start.
            let at = 44 + random.next_u64() as usize % (bad.len() - 44);
            bad[at] ^= 1 << (random.next_u64() % 8);
            assert_eq!(
                world.deliver(BOB, carol, &bad),
                Verdict::Refused,
                "seed {SEED:x}"
            );
            world.trust(BOB, CAROL);
            spoiled += 1;
        }
        // In another's name, and nobody's.
        let alice = world.nodes[0].address;
        for sender in [alice, bob, hushwire_core::identity::Address::ZERO] {
            assert_eq!(world.deliver(BOB, sender, start), Verdict::Refused);
            world.trust(BOB, 0);
            spoiled += 1;
        }
        // Under an id that is another one's, or no one's.
        for id in [1, u32::MAX] {
            let mut bad = start.clone();
            bad[40..44].copy_from_slice(&u32::to_be_bytes(id));
            assert_eq!(world.deliver(BOB, carol, &bad), Verdict::Refused);
            world.trust(BOB, CAROL);
            spoiled += 1;
        }
    }
    assert!(
        world.nodes[BOB].store.durable.own == own,
        "the pool changed"
    );
    for (n, start) in starts.iter().enumerate() {
        assert_eq!(
            world.deliver(BOB, carol, start),
            Verdict::Acked,
            "prekey {n}"
        );
    }
    assert_eq!(world.bodies_from(BOB, CAROL).len(), PREKEYS);
    assert!(world.nodes[BOB].store.durable.own != own);
    println!("seed {SEED:x}: {spoiled} spoiled starts on {PREKEYS} prekeys, none burned");
}
