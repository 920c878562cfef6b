//! Two devices on flash talk, restart and go on.

use crate::common::world::World;

#[test]
fn two_devices_talk_over_restarts() {
    let mut world = World::new(2, 1);
    for round in 0..40_u8 {
        world.send(0, 1, &[round; 20]).unwrap();
        world
            .send(1, 0, &vec![round; 20 + 10 * usize::from(round)])
            .unwrap();
        for at in [0, 1, 0, 1] {
            world.connect(at);
            world.pump(at, 64);
        }
        if round % 7 == 3 {
            world.nodes[usize::from(round % 2)].lose_power(0);
        }
    }
    world.settle(2);
    assert_eq!(world.inbox(0).len(), 40);
    assert_eq!(world.inbox(1).len(), 40);
    for node in &mut world.nodes {
        println!("{:?} {:?}", node.boots, node.store.flash().wear());
    }
}

/// The relay went back: what it had accepted is sent again, and what waits for it stays as it is.
#[test]
fn what_a_relay_forgot_is_sent_again() {
    let mut world = World::new(2, 31);
    world.send(0, 1, b"known").unwrap();
    world.settle(1);
    world.disconnect(1);
    world.send(0, 1, b"forgotten").unwrap();
    world.pump(0, 9);
    world.pump(0, 9);
    world.goes_back_and_is_given_again(0, 1);
    world.settle(1);
    assert_eq!(world.inbox(1), [b"known".as_slice(), b"forgotten"]);
}
