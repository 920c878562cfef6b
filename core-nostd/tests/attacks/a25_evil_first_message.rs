//! A25: an evil first message displaces no good session: a stranger's, a contact's out of stale keys,
//! a replayed one, any number of them.

use crate::common::{
    Party,
    lab::{Verdict, size},
    seal,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;

/// What must not change: the session in use, and that it works both ways.
fn still_good(world: &mut World, tag: hushwire_core::session::StartTag) {
    for (from, to) in [(ALICE, BOB), (BOB, ALICE)] {
        let before = world.bodies_from(to, from).len();
        world.send(from, to, b"still here").unwrap();
        for _ in 0..4 {
            for at in [ALICE, BOB] {
                world.connect(at);
                world.pump(at, 64);
            }
        }
        assert_eq!(world.bodies_from(to, from).len(), before + 1);
    }
    let session = world.peer(BOB, ALICE).session.as_ref().unwrap();
    assert_eq!(session.start_tag(), tag);
    assert!(session.is_confirmed());
    assert_eq!(world.restarts(BOB), 0);
}

fn acquainted() -> (World, hushwire_core::session::StartTag) {
    let mut world = World::published(3, 1);
    world.acquaint(ALICE, BOB);
    let tag = world.peer(BOB, ALICE).session.as_ref().unwrap().start_tag();
    (world, tag)
}

#[test]
fn a_stranger_s() {
    for welcome in [false, true] {
        let (mut world, tag) = acquainted();
        if welcome {
            let durable = world.nodes[BOB].store.durable.clone();
            let now = world.now;
            world.disconnect(BOB);
            world.nodes[BOB] = Node::new(2, true, now);
            world.nodes[BOB].reboot(durable);
        }
        let alice = world.nodes[ALICE].address;
        for n in 0..20 {
            let mut stranger = Party::new(50 + n);
            let own = stranger.public.address();
            for with in [true, false] {
                let mut session = world.start_as(&mut stranger, BOB, with);
                let evil = seal(&mut session, &mut stranger.rng, b"evil");
                assert_eq!(world.deliver(BOB, alice, &evil), Verdict::Refused);
                let verdict = world.deliver(BOB, own, &evil);
                assert_eq!(verdict == Verdict::Acked, welcome);
                world.trust(BOB, ALICE);
            }
        }
        still_good(&mut world, tag);
        assert!(
            world
                .bodies_from(BOB, ALICE)
                .iter()
                .all(|body| body != b"evil")
        );
    }
}

#[test]
fn a_contact_s_out_of_stale_keys() {
    // Somebody starts with Alice's identity out of an old copy, and never proves to live.
    let (mut world, tag) = acquainted();
    let alice = world.nodes[ALICE].address;
    let mut stale = Party::new(1);
    assert_eq!(stale.public.address(), alice);
    let count = size("HUSHWIRE_A25", 100);
    let mut taken = 0;
    for n in 0..count {
        let mut session = world.start_as(&mut stale, BOB, n % 2 == 0);
        let evil = seal(&mut session, &mut stale.rng, &n.to_be_bytes());
        taken += u64::from(world.deliver(BOB, alice, &evil) == Verdict::Acked);
        world.trust(BOB, ALICE);
        // What Bob says to it goes nowhere.
        let _gone = world.withhold(ALICE);
        let session = world.peer(BOB, ALICE).session.as_ref().unwrap();
        assert_eq!(session.start_tag(), tag);
    }
    let inbox = &world.nodes[BOB].store.durable.inbox;
    let marked = inbox.iter().filter(|message| message.replayable).count();
    println!("{count} starts, {taken} taken beside the session, {marked} marked replayable");
    assert!(taken > 0);
    still_good(&mut world, tag);
}

#[test]
fn the_first_one_replayed() {
    let (mut world, tag) = acquainted();
    let alice = world.nodes[ALICE].address;
    let start = world.sealed(ALICE, BOB)[0].clone();
    let before = world.bodies_from(BOB, ALICE);
    for _ in 0..100 {
        world.deliver(BOB, alice, &start);
        world.trust(BOB, ALICE);
    }
    assert_eq!(world.bodies_from(BOB, ALICE), before);
    assert!(world.nodes[BOB].store.tentative(&alice).is_none());
    still_good(&mut world, tag);
}
