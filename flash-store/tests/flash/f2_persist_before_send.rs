//! F2: nothing leaves before flash holds what it rests on. Each frame that a device sends is stopped,
//! the flash is read as a start would read it, and what is found must cover the frame.

use hushwire_core::{
    endpoint::Cx,
    storage::Storage as _,
    wire::{EnvelopeId, request::Request},
};
use hushwire_flash::{NoAnchor, Wipe};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common::{
    flash::{Chip, MockFlash},
    mirror::position,
    node::{Flash, Inner, LINK, Node, give_back, ram, storage_key},
    world::World,
};

#[derive(Default, Debug)]
struct Counts {
    submitted: u64,
    acked: u64,
    early: u64,
}

fn short(id: &EnvelopeId) -> u64 {
    u64::from_be_bytes(id.0[..8].try_into().unwrap())
}

/// What a start now would find.
fn on_flash(node: &mut Node) -> Inner {
    let chip = Chip::with(MockFlash::of(node.chip.image()));
    let rng = ChaCha20Rng::seed_from_u64(1);
    let wipe = Wipe::in_place::<Flash>();
    let opened = Inner::open(
        chip,
        storage_key(node.seed),
        rng,
        wipe,
        &mut NoAnchor,
        ram(),
    );
    opened.unwrap().0
}

fn check(node: &mut Node, frame: &[u8], counts: &mut Counts) {
    let mut stored = on_flash(node);
    match Request::parse(frame).unwrap() {
        Request::Submit { to, .. } => {
            counts.submitted += 1;
            let live = node.store.flash().conversation(&to).unwrap().unwrap();
            let sessions = [
                live.peer.session.as_ref(),
                live.tentative.as_ref().and_then(|t| t.as_ref()),
            ];
            let live: Vec<_> = sessions
                .into_iter()
                .flatten()
                .filter_map(position)
                .collect();
            let found = stored.conversation(&to).unwrap().unwrap();
            let sessions = [
                found.peer.session.as_ref(),
                found.tentative.as_ref().and_then(|t| t.as_ref()),
            ];
            let found: Vec<_> = sessions
                .into_iter()
                .flatten()
                .filter_map(position)
                .collect();
            for (key, n) in live {
                // The position on flash is behind every message that was sealed.
                let covered = found.iter().any(|(other, at)| *other == key && *at >= n);
                counts.early += u64::from(!covered);
            }
            // A receipt may be in it: all that was ever recorded stands on flash.
            for message in &node.store.durable.inbox {
                counts.early += u64::from(!stored.seen(&message.from, message.id).unwrap());
            }
        }
        Request::Ack(id) => {
            counts.acked += 1;
            let known = stored
                .contacts()
                .any(|peer| peer.done.contains(&short(&id)));
            counts.early += u64::from(!known);
        }
        _ => {}
    }
    give_back(stored);
}

/// Every frame in, every frame out, each looked at.
fn turn(world: &mut World, at: usize, counts: &mut Counts) {
    world.connect(at);
    world.offer(at);
    for _ in 0..64 {
        let now = world.now;
        if let Some(mut frame) = world.nodes[at].inbound.pop_front() {
            let Node {
                device, store, rng, ..
            } = &mut world.nodes[at];
            device
                .handle_frame(&mut Cx { store, rng, now }, LINK, &mut frame)
                .unwrap();
        }
        loop {
            let Node {
                device, store, rng, ..
            } = &mut world.nodes[at];
            let mut out = vec![0; 4096];
            let sent = device.poll_transmit(&mut Cx { store, rng, now }, LINK, &mut out);
            let Some(len) = sent.unwrap() else { break };
            check(&mut world.nodes[at], &out[..len], counts);
            world.serve(at, &out[..len]);
        }
        if world.nodes[at].inbound.is_empty() {
            break;
        }
    }
}

#[test]
fn f2_persist_before_send() {
    let mut counts = Counts::default();
    let mut world = World::new(2, 3);
    for round in 0..25_u8 {
        for n in 0..round % 4 {
            world.send(0, 1, &[round, n]).unwrap();
        }
        if round % 3 == 0 {
            world.send(1, 0, &[round; 100]).unwrap();
        }
        for at in [0, 1, 0, 1] {
            turn(&mut world, at, &mut counts);
        }
        if round % 10 == 7 {
            world.nodes[0].lose_power(0);
        }
    }
    println!("{counts:?}");
    assert_eq!(counts.early, 0);
    assert!(counts.submitted > 60 && counts.acked > 60);
}
