//! A6: a relay that takes messages and keeps them shows: they stay accepted, and no receipt comes.

use hushwire_core::storage::{Event, OutboxState};

use crate::common::{lab::DAY, world::World};

const ALICE: usize = 0;
const BOB: usize = 1;

#[test]
fn accepted_is_not_delivered() {
    let mut world = World::published(2, 1);
    world.acquaint(ALICE, BOB);
    let to = world.nodes[BOB].address;
    let ids: Vec<_> = (0..10_u8)
        .map(|n| world.send(ALICE, BOB, &[n]).unwrap())
        .collect();
    let mut kept = Vec::new();
    for _ in 0..20 * 24 {
        world.connect(ALICE);
        world.connect(BOB);
        world.pump(ALICE, 64);
        kept.extend(world.withhold(BOB));
        world.pump(BOB, 64);
        world.now += DAY / 24;
    }
    let told: Vec<_> = world.told(ALICE).copied().collect();
    for id in &ids {
        let id = *id;
        let accepted = told
            .iter()
            .filter(|event| **event == Event::Accepted { to, id });
        assert_eq!(accepted.count(), 1);
        assert!(!told.contains(&Event::Delivered { to, id }));
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, Event::Failed { .. }))
        );
        let waiting = world.nodes[ALICE]
            .store
            .outbox()
            .find(|entry| entry.id == id);
        assert_eq!(waiting.unwrap().state, OutboxState::Accepted);
    }
    println!("{} envelopes withheld over 20 days", kept.len());
    // What was withheld comes after all, and again: receipts say so, nothing is doubled.
    for (sender, envelope) in kept {
        world.store_envelope(to, sender, envelope);
    }
    world.settle(10);
    for id in ids {
        let delivered = world
            .told(ALICE)
            .filter(|event| **event == Event::Delivered { to, id });
        assert_eq!(delivered.count(), 1);
    }
    assert_eq!(world.bodies_from(BOB, ALICE).len(), 11);
    assert!(world.nodes[ALICE].store.outbox().next().is_none());
}
