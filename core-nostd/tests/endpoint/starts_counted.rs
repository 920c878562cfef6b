//! What a device must remember over its starts although nothing is said: that it started, and what
//! was spent.

use hushwire_core::{limits::SIGNED_PREKEY_STARTS, wire::bundle::Bundle};

use crate::common::world::World;

const ALICE: usize = 0;
const BOB: usize = 1;

fn signed_prekey(world: &World, at: usize) -> u32 {
    let bundle = &world.relay[&world.nodes[at].address].bundle;
    Bundle::parse(bundle).unwrap().signed_prekey_id
}

#[test]
fn the_signed_prekey_changes_after_so_many_starts() {
    let mut world = World::published(2, 1);
    let first = signed_prekey(&world, BOB);
    for _ in 0..SIGNED_PREKEY_STARTS {
        assert_eq!(signed_prekey(&world, BOB), first);
        world.nodes[BOB].lose_power(0);
        world.connect(BOB);
        world.pump(BOB, 64);
    }
    world.pump(BOB, 64);
    assert_ne!(signed_prekey(&world, BOB), first);
}

#[test]
fn a_one_time_prekey_spent_across_a_loss_of_power_stays_spent() {
    let mut world = World::published(2, 2);
    world.send(ALICE, BOB, b"one").unwrap();
    world.speak(ALICE);
    let (alice, bob) = (world.nodes[ALICE].address, world.nodes[BOB].address);
    let start = world.sealed(ALICE, BOB).pop().unwrap();
    world.connect(BOB);
    // The commit that would spend it is cut: message and session are written, the pool is not.
    let cut = (1..16).find(|keep| {
        let mut trial = World::published(2, 2);
        trial.send(ALICE, BOB, b"one").unwrap();
        trial.speak(ALICE);
        trial.connect(BOB);
        let own = trial.nodes[BOB].store.durable.own.clone();
        trial.nodes[BOB].store.fail_commit = Some((0, *keep));
        trial.pump(BOB, 64);
        let written = &trial.nodes[BOB].store.durable;
        !written.inbox.is_empty() && written.own == own && trial.peer(BOB, ALICE).session.is_some()
    });
    let keep = cut.expect("a cut between session and pool");
    world.nodes[BOB].store.fail_commit = Some((0, keep));
    world.pump(BOB, 64);
    assert!(world.peer(BOB, ALICE).session.is_some());
    // The conversation goes on; a start without one-time prekey replaces the session that names it.
    world.settle(1);
    world.disconnect(BOB);
    let kept = std::mem::take(&mut world.relay.get_mut(&bob).unwrap().prekeys);
    world.lose_session(ALICE, BOB);
    world.send(ALICE, BOB, b"two").unwrap();
    world.speak(ALICE);
    world.relay.get_mut(&bob).unwrap().prekeys = kept;
    world.acquaint(ALICE, BOB);
    assert_eq!(
        world
            .peer(BOB, ALICE)
            .session
            .as_ref()
            .unwrap()
            .spent_prekey(),
        None
    );
    for n in 0..20 {
        // Until the start is no more among the envelopes that are known as dealt with.
        world.send(ALICE, BOB, &[n]).unwrap();
        world.settle(1);
    }
    // After another loss of power the first start must not open once more.
    world.disconnect(BOB);
    world.nodes[BOB].lose_power(0);
    let tag = world.peer(BOB, ALICE).session.as_ref().unwrap().start_tag();
    world.deliver(BOB, alice, &start);
    assert!(
        world.nodes[BOB].store.tentative(&alice).is_none(),
        "it opened again"
    );
    assert_eq!(
        world.peer(BOB, ALICE).session.as_ref().unwrap().start_tag(),
        tag
    );
}
