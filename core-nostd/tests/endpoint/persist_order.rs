//! Nothing is released before its commit, and nothing is lost after: each frame is looked at in the
//! moment in which it leaves, as if the power went right then.

use hushwire_core::wire::{EnvelopeId, request::Request};

use crate::common;
use crate::common::{
    lab::{Verdict, feed, next_frame},
    store::Durable,
    world::{Node, World},
};

const ALICE: usize = 0;
const BOB: usize = 1;

/// The device as it would come back, had the power gone now.
fn woken(at: usize, durable: &Durable, now: u64) -> Node {
    let mut node = Node::new(at as u8 + 1, false, now);
    node.reboot(durable.clone());
    node
}

#[derive(Default, Debug)]
struct Counts {
    frames: u64,
    commits: u64,
    submissions: u64,
    acks: u64,
    refusals: u64,
    publications: u64,
}

/// Moves one device on, and looks at each frame that leaves it.
fn watch(world: &mut World, at: usize, counts: &mut Counts) {
    world.connect(at);
    world.offer(at);
    let now = world.now;
    let before = world.nodes[at].store.commits;
    while let Some(mut bytes) = world.nodes[at].inbound.pop_front() {
        feed(&mut world.nodes[at], now, &mut bytes).unwrap();
        while let Some(frame) = next_frame(&mut world.nodes[at], now) {
            counts.frames += 1;
            look(world, at, &frame, counts);
            world.serve(at, &frame);
        }
    }
    while let Some(frame) = next_frame(&mut world.nodes[at], now) {
        counts.frames += 1;
        look(world, at, &frame, counts);
        world.serve(at, &frame);
    }
    counts.commits += world.nodes[at].store.commits - before;
}

/// Another world with the devices as storage holds them, and the relay as it is.
fn twin(world: &World, whom: &[usize]) -> World {
    let mut twin = World::new(2, 99);
    twin.now = world.now;
    for at in whom {
        twin.nodes[*at] = woken(*at, &world.nodes[*at].store.durable, world.now);
    }
    twin
}

fn look(world: &mut World, at: usize, frame: &[u8], counts: &mut Counts) {
    let owner = world.nodes[at].address;
    let waiting = |id| {
        let messages = &world.relay[&owner].messages;
        let found = messages.iter().find(|m| EnvelopeId::of(&m.envelope) == id);
        found.map(|m| (m.sender, m.envelope.clone())).unwrap()
    };
    match Request::parse(frame).unwrap() {
        Request::Ack(id) => {
            counts.acks += 1;
            // Whoever comes back knows the envelope: it opens nothing and records nothing.
            let (sender, envelope) = waiting(id);
            let mut twin = twin(world, &[at]);
            let inbox = twin.inbox(at);
            assert_eq!(twin.deliver(at, sender, &envelope), Verdict::Acked);
            assert_eq!(twin.inbox(at), inbox, "acked before it was recorded");
        }
        Request::Refuse(_) => counts.refusals += 1,
        Request::Submit { to, envelope } => {
            counts.submissions += 1;
            // Had the power gone, the device would seal again, and both would open: no key twice.
            let other = world.index(&to).unwrap();
            let mut twin = twin(world, &[at, other]);
            twin.nodes[at].rng = common::rng(1 << 20 | counts.submissions);
            let before = twin.bodies_from(other, at).len();
            twin.send(at, other, b"after the power came back").unwrap();
            twin.record = true;
            twin.speak(at);
            let again = twin.withhold(other);
            assert_eq!(twin.deliver(other, owner, envelope), Verdict::Acked);
            assert!(!again.is_empty());
            for (sender, envelope) in again {
                let verdict = twin.deliver(other, sender, &envelope);
                assert_eq!(verdict, Verdict::Acked, "a message key repeated");
            }
            assert!(twin.bodies_from(other, at).len() > before);
        }
        Request::Publish { .. } | Request::Prekeys { .. } => {
            counts.publications += 1;
            // The secrets behind it are stored: the same set comes after a loss of power.
            let own = &world.nodes[at].store.durable.own;
            assert!(!own.is_empty());
        }
        _ => {}
    }
}

#[test]
fn every_frame_rests_on_what_is_stored() {
    let mut counts = Counts::default();
    let mut world = World::new(2, 1);
    for at in [ALICE, BOB] {
        let durable = world.nodes[at].store.durable.clone();
        world.nodes[at].reboot(durable);
    }
    for round in 0..40_u8 {
        // One-sided talk, answers, and silence: all ways to reserve and to step.
        let writes = [1, 0, 12, 3][usize::from(round % 4)];
        for n in 0..writes {
            let from = usize::from(round / 4 % 2);
            world.send(from, 1 - from, &[round, n]).unwrap();
        }
        for at in [BOB, ALICE, BOB, ALICE] {
            watch(&mut world, at, &mut counts);
        }
        world.now += 60_000;
    }
    println!("{counts:?}");
    assert!(counts.acks > 100 && counts.submissions > 100);
}

/// A script of which every commit is cut once, at several places. Returns how many there were.
fn cut_at(victim: usize, cut: u32, keep: usize) -> bool {
    let mut world = World::new(2, 5);
    let mut sent = [Vec::new(), Vec::new()];
    world.nodes[victim].store.fail_commit = Some((cut, keep));
    let mut failed = false;
    for round in 0..5_u8 {
        for from in [ALICE, BOB] {
            let body = [round, from as u8];
            // Where storage fails the application hears of it, and the device starts again.
            if world.send(from, 1 - from, &body).is_some() {
                sent[from].push(body.to_vec());
            } else {
                world.nodes[from].lose_power(keep);
                if world.nodes[from].store.outbox().any(|e| e.kind.0 == 1) {
                    world.nodes[from].store.fail_commit = None;
                }
                failed = true;
            }
        }
        for at in [BOB, ALICE, BOB, ALICE] {
            world.connect(at);
            world.pump(at, 64);
        }
        failed |= world.nodes[victim].store.fail_commit.is_none();
    }
    if world.nodes[victim].store.fail_commit.is_some() {
        world.nodes[victim].store.fail_commit = None;
    }
    world.settle(20);
    for from in [ALICE, BOB] {
        let arrived = world.bodies_from(1 - from, from);
        for body in &sent[from] {
            let times = arrived.iter().filter(|other| *other == body).count();
            assert_eq!(
                times, 1,
                "victim {victim}, commit {cut}, {keep} kept: {body:?}"
            );
        }
    }
    failed
}

#[test]
fn every_commit_may_fail() {
    let mut cuts = 0;
    for victim in [ALICE, BOB] {
        for keep in [0, 1, 2, 3, 5, usize::MAX] {
            let mut cut = 0;
            while cut_at(victim, cut, keep) {
                cut += 1;
                cuts += 1;
            }
            assert!(cut > 20, "the script commits more often than {cut} times");
        }
    }
    println!("{cuts} commits cut, nothing lost, nothing doubled");
}
