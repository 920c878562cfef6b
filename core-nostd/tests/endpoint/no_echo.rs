//! What a contact or the relay can make a device say: bounded, never a loop.

use hushwire_core::{
    crypto::Software,
    evidence,
    identity::Address,
    limits::{MAX_ATTEMPTS, MAX_JUMP},
    session::{Content, Kind},
    wire::{
        MessageId,
        answer::{Answer, NoticeKind, Welcome},
        request::Request,
    },
};
use rand_chacha::rand_core::Rng as _;

use crate::common::{
    Party, Ses,
    lab::{DAY, HOUR, Verdict, feed, frame, next_frame},
    rng,
    world::World,
};

const ALICE: usize = 0;
const BOB: usize = 1;
const MALLORY: usize = 2;

fn seal_kind(session: &mut Ses, party: &mut Party, kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut id = MessageId([0; 16]);
    party.rng.fill_bytes(&mut id.0);
    let mut out = vec![0; 2048];
    let content = Content { kind, id, body };
    let sealed = session
        .seal(&mut Software, &mut party.rng, &content, &mut out)
        .unwrap();
    evidence::after(
        &mut (),
        |(): &mut ()| Ok::<(), ()>(()),
        |(), p| sealed.release(p).to_vec(),
    )
    .unwrap()
}

#[test]
fn two_honest_devices_fall_silent() {
    for seed in 0..4 {
        let mut world = World::published(2, seed);
        for n in 0..10_u8 {
            world.send(ALICE, BOB, &[n]).unwrap();
            world.send(BOB, ALICE, &[n]).unwrap();
            if seed % 2 == 0 {
                world.settle(1);
            }
        }
        world.settle(3);
        let said = world.recorded.len();
        for _ in 0..60 {
            world.now += DAY / 2;
            world.minutes(1);
        }
        let more = world.recorded.len() - said;
        println!("seed {seed}: {said} envelopes for 20 messages, then {more} in 30 days");
        assert!(more == 0 && said < 80);
    }
}

#[test]
fn two_devices_with_gaps_above_the_jump_fall_silent() {
    let mut world = World::published(2, 9);
    world.acquaint(ALICE, BOB);
    world.send(ALICE, BOB, b"kept back").unwrap();
    // Both chains run on unheard: each message is taken, and gone.
    for n in 0..MAX_JUMP + 40 {
        for at in [ALICE, BOB] {
            if n % 8 == 0 {
                world
                    .send(at, 1 - at, &n.to_be_bytes())
                    .unwrap_or(MessageId([0; 16]));
            }
            world.speak(at);
            let to = world.nodes[1 - at].address;
            world.relay.get_mut(&to).unwrap().messages.clear();
        }
        // What was accepted is sealed again and again, as if it had expired.
        for at in [ALICE, BOB] {
            let peer = world.nodes[1 - at].address;
            world.notify(world.nodes[at].address, NoticeKind::SentExpired, peer, 1);
        }
    }
    let said = world.recorded.len();
    world.settle(30);
    let more = world.recorded.len() - said;
    println!("{said} envelopes lost, then {more} until both were silent");
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.store.outbox().next().is_none())
    );
    let said = world.recorded.len();
    world.now += 10 * DAY;
    world.minutes(10);
    assert_eq!(world.recorded.len(), said);
}

#[test]
fn a_contact_gets_one_word_for_one() {
    let mut world = World::published(3, 2);
    let mallory = world.nodes[MALLORY].address;
    let mut party = Party::new(3);
    assert_eq!(party.public.address(), mallory);
    let mut session = world.start_as(&mut party, BOB, true);
    for (kind, most) in [
        (Kind::PROBE, 1),
        (Kind::ALIVE, 1),
        (Kind::DATA, 1),
        (Kind::RECEIPT, 1),
    ] {
        let before = world.sealed(BOB, MALLORY).len();
        for _ in 0..100 {
            let envelope = seal_kind(&mut session, &mut party, kind, &[7; 32]);
            assert_eq!(world.deliver(BOB, mallory, &envelope), Verdict::Acked);
        }
        let said = world.sealed(BOB, MALLORY).len() - before;
        println!("100 of {kind:?}: {said} envelopes");
        assert!(said <= 100 * most + 1);
    }
    // Asked to send again, a device does, and not for ever.
    let waiting = 10;
    for n in 0..waiting {
        world.send(BOB, MALLORY, &[n]).unwrap();
    }
    let before = world.sealed(BOB, MALLORY).len();
    for _ in 0..100 {
        let envelope = seal_kind(&mut session, &mut party, Kind::RESEND, &[]);
        assert_eq!(world.deliver(BOB, mallory, &envelope), Verdict::Acked);
    }
    let said = world.sealed(BOB, MALLORY).len() - before;
    println!("100 of RESEND, {waiting} waiting: {said} envelopes");
    // One seal may be under way when the relay's answer begins the count.
    assert!(said <= usize::from(waiting) * (usize::from(MAX_ATTEMPTS) + 1));
    // Nobody else heard a word.
    let strangers = world
        .recorded
        .iter()
        .filter(|(from, to, _)| *from == world.nodes[BOB].address && *to != mallory);
    assert_eq!(strangers.count(), 0);
}

#[test]
fn a_relay_gets_a_bounded_answer_to_each_lie() {
    let mut world = World::published(2, 3);
    world.acquaint(ALICE, BOB);
    for n in 0..10 {
        world.send(ALICE, BOB, &[n]).unwrap();
    }
    world.speak(ALICE);
    let (now, bob) = (world.now, world.nodes[BOB].address);
    let mut random = rng(4);
    for (name, kind) in [
        ("sent expired", NoticeKind::SentExpired),
        ("unopened", NoticeKind::Unopened),
        ("refused", NoticeKind::Refused),
        ("prekeys left", NoticeKind::PrekeysLeft),
    ] {
        let (mut lies, mut frames, mut bytes) = (0_u64, 0_u64, 0_u64);
        for _ in 0..200 {
            let peer = match random.next_u64() % 3 {
                0 => Address([random.next_u64() as u8; 20]),
                _ => bob,
            };
            let count = if kind == NoticeKind::PrekeysLeft {
                0
            } else {
                1
            };
            let notice = Answer::Notice { kind, peer, count };
            feed(&mut world.nodes[ALICE], now, &mut frame(&notice)).unwrap();
            lies += 1;
            while let Some(out) = next_frame(&mut world.nodes[ALICE], now) {
                (frames, bytes) = (frames + 1, bytes + out.len() as u64);
                world.serve(ALICE, &out);
                while let Some(mut answer) = world.nodes[ALICE].inbound.pop_front() {
                    feed(&mut world.nodes[ALICE], now, &mut answer).unwrap();
                }
            }
        }
        println!("{name}: {lies} lies, {frames} frames, {bytes} bytes");
        assert!(frames <= lies + 10 * u64::from(MAX_ATTEMPTS) + 20);
    }
}

#[test]
fn a_wait_of_ages_ends_with_the_link() {
    let mut world = World::published(2, 4);
    world.acquaint(ALICE, BOB);
    let id = world.send(ALICE, BOB, b"later").unwrap();
    let now = world.now;
    let submitted = next_frame(&mut world.nodes[ALICE], now).unwrap();
    let Request::Submit { envelope, .. } = Request::parse(&submitted).unwrap() else {
        panic!("a submission");
    };
    let rejected = Answer::Rejected {
        id: hushwire_core::wire::EnvelopeId::of(envelope),
        reason: hushwire_core::wire::reason::Reason::RateLimited,
        retry_after: u32::MAX,
    };
    feed(&mut world.nodes[ALICE], now, &mut frame(&rejected)).unwrap();
    assert!(next_frame(&mut world.nodes[ALICE], now + HOUR).is_none());
    assert!(
        world.nodes[ALICE]
            .store
            .outbox()
            .any(|entry| entry.id == id)
    );
    world.disconnect(ALICE);
    world.settle(1);
    assert_eq!(world.bodies_from(BOB, ALICE).last().unwrap(), b"later");
}

#[test]
fn numbers_at_their_ends_overflow_nothing() {
    let mut world = World::published(2, 5);
    world.acquaint(ALICE, BOB);
    let bob = world.nodes[BOB].address;
    for now in [world.now, u64::MAX - 1] {
        for next_sequence in [0, u64::MAX] {
            let welcome = Answer::Welcome(Welcome {
                epoch: u64::MAX,
                next_sequence,
                unix_seconds: u64::MAX,
                waiting: u32::MAX,
                prekeys: u16::MAX,
                bundle_counter: u64::MAX,
            });
            let deliver = Answer::Deliver {
                sequence: u64::MAX,
                stored_at: u64::MAX,
                sender: bob,
                envelope: &[1; 200],
            };
            let node = &mut world.nodes[ALICE];
            feed(node, now, &mut frame(&welcome)).unwrap();
            for kind in 1..=7 {
                let kind = NoticeKind::from_byte(kind).unwrap();
                let (peer, count) = (bob, u32::MAX);
                feed(node, now, &mut frame(&Answer::Notice { kind, peer, count })).unwrap();
                while next_frame(node, now).is_some() {}
            }
            for _ in 0..300 {
                feed(node, now, &mut frame(&deliver)).unwrap();
                while next_frame(node, now).is_some() {}
            }
        }
    }
}
