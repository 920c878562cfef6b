//! A29: ids are computed, never believed: an old envelope delivered again is acked under its true name
//! and not recorded again, and an answer under another envelope's id moves nothing.

use hushwire_core::{
    storage::OutboxState,
    wire::{EnvelopeId, answer::Answer, request::Request},
};

use crate::common::{
    lab::{Verdict, feed, frame, next_frame},
    world::World,
};

const ALICE: usize = 0;
const BOB: usize = 1;

#[test]
fn an_old_envelope_as_a_new_one() {
    let mut world = World::published(2, 1);
    world.acquaint(ALICE, BOB);
    for n in 0..40_u8 {
        world.send(ALICE, BOB, &[n]).unwrap();
        world.settle(1);
    }
    let alice = world.nodes[ALICE].address;
    let inbox = world.bodies_from(BOB, ALICE);
    let mut acked = 0;
    let old = world.sealed(ALICE, BOB);
    for envelope in old.iter().rev() {
        // `deliver` panics should an ack or a refusal name any other id.
        acked += usize::from(world.deliver(BOB, alice, envelope) == Verdict::Acked);
        world.trust(BOB, ALICE);
    }
    println!(
        "{} old envelopes delivered again, {acked} acked as known",
        old.len()
    );
    assert!(acked >= 16, "as many as a window holds are known for sure");
    assert_eq!(world.bodies_from(BOB, ALICE), inbox, "recorded again");
    world.acquaint(ALICE, BOB);
    assert_eq!(world.restarts(BOB) + world.restarts(ALICE), 0);
}

#[test]
fn an_answer_under_another_id() {
    let mut world = World::published(2, 2);
    world.acquaint(ALICE, BOB);
    let old = world.sealed(ALICE, BOB).pop().unwrap();
    let id = world.send(ALICE, BOB, b"new").unwrap();
    let now = world.now;
    let alice = &mut world.nodes[ALICE];
    let submitted = next_frame(alice, now).unwrap();
    let Request::Submit { envelope, .. } = Request::parse(&submitted).unwrap() else {
        panic!("a submission");
    };
    let events = alice.store.events.len();
    let mut other = EnvelopeId::of(envelope);
    other.0[15] ^= 1;
    for wrong in [EnvelopeId::of(&old), other, EnvelopeId(id.0)] {
        let accepted = Answer::Accepted(wrong);
        feed(alice, now, &mut frame(&accepted)).unwrap();
        let entry = alice.store.outbox().find(|entry| entry.id == id).unwrap();
        assert_eq!(entry.state, OutboxState::Queued);
        assert_eq!(alice.store.events.len(), events);
    }
    let accepted = Answer::Accepted(EnvelopeId::of(envelope));
    feed(alice, now, &mut frame(&accepted)).unwrap();
    let entry = alice.store.outbox().find(|entry| entry.id == id).unwrap();
    assert_eq!(entry.state, OutboxState::Accepted);
}
