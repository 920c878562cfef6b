//! A device that takes small bodies writes none that its own buffers cannot hold.

use crate::common::world::World;

#[test]
fn a_body_above_the_device_s_own_bound_is_not_taken() {
    let mut world = World::published(2, 1);
    for len in [1025, 4096, 16_384] {
        assert!(world.send(0, 1, &vec![7; len]).is_none(), "{len}");
    }
    assert!(world.send(0, 1, &[7; 1024]).is_some());
    world.settle(1);
    assert_eq!(world.inbox(1), [[7; 1024]]);
}
