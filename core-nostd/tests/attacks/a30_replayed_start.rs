//! A30: a first message without one-time prekey, replayed after any delay, replaces no session and
//! executes nothing. The replay memory, and what filling it costs.

use hushwire_core::limits::{REPLAY_MEMORY, SIGNED_PREKEY_PERIOD_MS};

use crate::common::{
    Party,
    lab::{DAY, HOUR, Verdict, state_but_suspicion},
    seal,
    world::World,
};

const ALICE: usize = 0;
const BOB: usize = 1;

fn replayed_for_weeks(acquainted: bool, reboot: bool) -> u32 {
    let mut world = World::published(2, 1);
    let (alice, bob) = (world.nodes[ALICE].address, world.nodes[BOB].address);
    world.disconnect(BOB);
    world.relay.get_mut(&bob).unwrap().prekeys.clear();
    world.send(ALICE, BOB, b"unlock the door").unwrap();
    world.speak(ALICE);
    let start = world.sealed(ALICE, BOB).pop().unwrap();
    assert_eq!(start[2], 3, "without one-time prekey");
    world.connect(BOB);
    world.pump(BOB, 64);
    // The command came with a word of warning, the first time as any other.
    assert!(world.nodes[BOB].store.durable.inbox[0].replayable);
    if acquainted {
        world.acquaint(ALICE, BOB);
    }
    let mut replays = 0_u32;
    let end = world.now + 5 * SIGNED_PREKEY_PERIOD_MS / 2;
    while world.now < end {
        if reboot {
            world.disconnect(BOB);
            world.nodes[BOB].lose_power(0);
        }
        world.connect(BOB);
        world.pump(BOB, 64);
        let inbox = world.inbox(BOB);
        let before = state_but_suspicion(&mut world.nodes[BOB], &alice);
        world.deliver(BOB, alice, &start);
        world.trust(BOB, ALICE);
        let after = state_but_suspicion(&mut world.nodes[BOB], &alice);
        assert_eq!(after, before, "{replays} replays in");
        assert_eq!(world.inbox(BOB), inbox);
        assert!(world.nodes[BOB].store.tentative(&alice).is_none());
        if replays.is_multiple_of(8) {
            // Other messages push it out of what is known as dealt with.
            world.send(ALICE, BOB, &[1]).unwrap();
            world.settle(1);
        }
        replays += 1;
        world.now += 7 * HOUR;
    }
    assert_eq!(world.restarts(BOB), 0);
    replays
}

#[test]
fn after_any_delay() {
    let mut replays = 0;
    for (acquainted, reboot) in [(false, false), (true, false), (false, true), (true, true)] {
        replays += replayed_for_weeks(acquainted, reboot);
    }
    println!("{replays} replays over two and a half periods of the signed prekey");
}

#[test]
fn to_another_session_than_its_own() {
    // The session that the start made is gone; its replay must not make it again.
    let mut world = World::published(2, 2);
    let (alice, bob) = (world.nodes[ALICE].address, world.nodes[BOB].address);
    world.relay.get_mut(&bob).unwrap().prekeys.clear();
    world.send(ALICE, BOB, b"unlock the door").unwrap();
    world.settle(1);
    let start = world.sealed(ALICE, BOB)[0].clone();
    assert_eq!(start[2], 3);
    for round in 0..3 {
        world.lose_session(ALICE, BOB);
        world.acquaint(ALICE, BOB);
        for n in 0..20 {
            world.send(ALICE, BOB, &[n]).unwrap();
            world.settle(1);
        }
        let tag = world.peer(BOB, ALICE).session.as_ref().unwrap().start_tag();
        if round == 2 {
            world.lose_session(BOB, ALICE);
        }
        let inbox = world.inbox(BOB);
        assert_eq!(world.deliver(BOB, alice, &start), Verdict::Refused);
        assert_eq!(world.inbox(BOB), inbox);
        assert!(world.nodes[BOB].store.tentative(&alice).is_none());
        let session = world.peer(BOB, ALICE).session.as_ref();
        assert!(session.is_none_or(|session| session.start_tag() == tag));
        assert_eq!(session.is_none(), round == 2);
    }
}

#[test]
fn a_full_memory_locks_nobody_out_for_ever() {
    let mut world = World::published(2, 3);
    world.acquaint(ALICE, BOB);
    let alice = world.nodes[ALICE].address;
    let mut party = Party::new(1);
    assert_eq!(party.public.address(), alice);
    let start = |world: &mut World, party: &mut Party, with| {
        let mut session = world.start_as(party, BOB, with);
        let start = seal(&mut session, &mut party.rng, b"anew");
        let verdict = world.deliver(BOB, alice, &start);
        world.trust(BOB, ALICE);
        let _gone = world.withhold(ALICE);
        verdict
    };
    let mut taken = 0;
    while start(&mut world, &mut party, false) == Verdict::Acked {
        taken += 1;
        assert!(taken <= REPLAY_MEMORY, "an unbounded memory");
    }
    println!("{taken} starts without one-time prekey fill the memory of one contact");
    // With a one-time prekey a start needs no memory.
    assert_eq!(start(&mut world, &mut party, true), Verdict::Acked);
    let began = world.now;
    while start(&mut world, &mut party, false) == Verdict::Refused {
        world.now += DAY / 2;
        assert!(world.now - began <= 15 * DAY, "locked out");
        world.connect(BOB);
        world.pump(BOB, 64);
    }
    println!("then {} hours until the next", (world.now - began) / HOUR);
}
