//! F5: an older copy of the image is put back. With a number of the board that never goes back it is
//! found out at the start; without one the relay's counter of the bundle tells, once it has risen
//! since. Either way the conversation heals.

use std::collections::BTreeMap;

use hushwire_core::{identity::Address, limits::SIGNED_PREKEY_PERIOD_MS, storage::Event};
use hushwire_flash::Boot;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common::{
    node::{Counter, Flash, Node},
    world::World,
};

fn world(anchor: Counter) -> World {
    let now = 1_000_000;
    let mut world = World {
        epoch: 1,
        nodes: vec![
            Node::on(Flash::new(16), 1, false, now, anchor),
            Node::on(Flash::new(16), 2, false, now, Counter(None)),
        ],
        relay: BTreeMap::new(),
        now,
        rng: ChaCha20Rng::seed_from_u64(1),
        recorded: Vec::new(),
        record: false,
    };
    let all: Vec<Address> = world.nodes.iter().map(|node| node.address).collect();
    world.nodes[0].add_contact(all[1]);
    world.nodes[1].add_contact(all[0]);
    world
}

fn talk(world: &mut World, tag: u8, rounds: u8) {
    for round in 0..rounds {
        world.send(0, 1, &[tag, round, 0]).unwrap();
        world.send(1, 0, &[tag, round, 1]).unwrap();
        for at in [0, 1, 0, 1] {
            world.connect(at);
            world.pump(at, 64);
        }
    }
}

fn put_back(world: &mut World, image: &[u8]) -> Boot {
    world.disconnect(0);
    world.nodes[0].chip.get().bytes.copy_from_slice(image);
    world.nodes[0].lose_power(0);
    *world.nodes[0].boots.last().unwrap()
}

/// All that is sent from now on arrives, once.
fn heals(world: &mut World) {
    world.settle(3);
    let (before, after) = (world.inbox(0).len(), world.inbox(1).len());
    talk(world, 9, 5);
    world.settle(30);
    assert_eq!(world.inbox(0).len() - before, 5);
    assert_eq!(world.inbox(1).len() - after, 5);
}

#[test]
fn f5_an_older_image_is_found_out_by_the_anchor() {
    let mut world = world(Counter(Some(0)));
    talk(&mut world, 1, 6);
    // A command that was received, and not dealt with yet, when the copy was made.
    world.nodes[0].store.reading = false;
    world.send(1, 0, b"open the door").unwrap();
    for at in [1, 0, 1] {
        world.connect(at);
        world.pump(at, 64);
    }
    let old = world.nodes[0].chip.image();
    world.nodes[0].store.reading = true;
    talk(&mut world, 2, 6);
    world.nodes[0].lose_power(0);
    assert_eq!(world.nodes[0].boots.last(), Some(&Boot::Ready));

    // The application's memory of what it did goes with the image.
    let done = std::mem::take(&mut world.nodes[0].store.durable.inbox);
    assert!(
        done.iter()
            .any(|m| m.body == b"open the door" && !m.replayable)
    );
    assert_eq!(put_back(&mut world, &old), Boot::RolledBack);
    let again = &world.nodes[0].store.durable.inbox;
    let door = again.iter().find(|m| m.body == b"open the door").unwrap();
    assert!(door.replayable, "it must not be done once more");

    heals(&mut world);
    world.nodes[0].lose_power(0);
    assert_eq!(world.nodes[0].boots.last(), Some(&Boot::Ready));
}

#[test]
fn f5_an_image_is_older_from_each_raise_on() {
    let mut world = world(Counter(Some(0)));
    talk(&mut world, 1, 3);
    let old = world.nodes[0].chip.image();
    // No restart between: only the raise tells the copies apart.
    let node = &mut world.nodes[0];
    let mut anchor = node.anchor;
    node.store.flash().raise_anchor(&mut anchor).unwrap();
    node.anchor = anchor;
    let new = node.chip.image();
    assert_eq!(put_back(&mut world, &old), Boot::RolledBack);
    // Of an anchor that stands above both, the newer one is old as well.
    assert_eq!(put_back(&mut world, &new), Boot::RolledBack);
    heals(&mut world);
}

#[test]
fn f5_without_anchor_the_relay_s_counter_tells_and_it_heals() {
    let mut world = world(Counter(None));
    talk(&mut world, 1, 6);
    let old = world.nodes[0].chip.image();
    talk(&mut world, 2, 6);
    // A week on the signed prekey changes, and with it the counter that the relay holds.
    world.now += SIGNED_PREKEY_PERIOD_MS;
    talk(&mut world, 3, 3);
    let address = world.nodes[0].address;
    let counter = world.relay[&address].counter;

    assert_eq!(
        put_back(&mut world, &old),
        Boot::Ready,
        "nothing on the board knows"
    );
    heals(&mut world);
    let later = world.relay[&address].counter;
    assert!(
        later > counter,
        "the device outran its former self: {later} after {counter}"
    );
    world.nodes.iter_mut().for_each(Node::keep_events);
    let events = world.nodes.iter().flat_map(|node| &node.lasting_events);
    let restarts = events.filter(|event| matches!(event, Event::Restarted { .. }));
    assert!(
        restarts.count() >= 1,
        "the user is shown that the conversation began anew"
    );
}
