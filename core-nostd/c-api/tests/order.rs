//! Persist before send, persist before ack, and randomness that fails: nothing comes out too early.
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test calls several functions under one reason"
)]

mod device;

use device::{Device, Random, SLOT, body, zeroed};
use hushwire_c::{
    env::HW_SLOT_PREKEYS,
    prekeys::{hw_prekeys_refill, hw_prekeys_rotate_if_due, hw_prekeys_unspent},
    session::{
        open::hw_session_open,
        state::{hw_session_close, hw_session_inspect, hw_session_wipe},
    },
    status::Status,
};

type Pair = (std::pin::Pin<Box<Device>>, std::pin::Pin<Box<Device>>);

/// Alice has started a session with Bob, who has opened her first message and answered it.
fn talking() -> Pair {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    let first = alice.seal(b"first").unwrap();
    assert_eq!(body(&bob.accept(&mut alice, &first).unwrap()), b"first");
    let answer = bob.seal(b"answer").unwrap();
    assert_eq!(body(&alice.open(&answer).unwrap()), b"answer");
    (alice, bob)
}

#[test]
fn a_seal_that_is_not_stored_does_not_leave() {
    let (mut alice, mut bob) = talking();
    alice.inside().world.stores_left = 0;
    let before = alice.inside().world.flash.clone();
    assert_eq!(alice.seal(b"unsaid").err(), Some(Status::Store));
    assert_eq!(alice.inside().world.flash, before);
    alice.inside().world.stores_left = usize::MAX;
    let said = alice.seal(b"said").unwrap();
    assert_eq!(body(&bob.open(&said).unwrap()), b"said");
}

#[test]
fn one_seal_in_eight_stores() {
    let (mut alice, mut bob) = talking();
    alice.inside().world.commits.clear();
    for n in 0..64 {
        let envelope = alice.seal(&[n]).unwrap();
        assert_eq!(body(&bob.open(&envelope).unwrap()), [n]);
    }
    assert_eq!(alice.inside().world.commits, vec![(SLOT, false); 8]);
}

#[test]
fn a_message_and_its_state_are_one_commit() {
    let (mut alice, mut bob) = talking();
    let envelope = alice.seal(b"one").unwrap();
    bob.inside().world.commits.clear();
    bob.open(&envelope).unwrap();
    assert_eq!(bob.inside().world.commits, [(SLOT, true)]);
    assert_eq!(
        bob.inside().world.inbox,
        [b"first".to_vec(), b"one".to_vec()]
    );
}

#[test]
fn an_opened_message_that_is_not_stored_opens_again_after_a_restart() {
    let (mut alice, mut bob) = talking();
    let envelope = alice.seal(b"once").unwrap();
    bob.inside().world.stores_left = 0;
    let mut bytes = envelope.clone();
    let (d, mut message) = (bob.parts(), zeroed());
    // SAFETY: the device's own contexts, a buffer with its length, and a local.
    let status = unsafe {
        hw_session_open(
            d.session,
            d.env,
            bytes.as_mut_ptr(),
            bytes.len(),
            &raw mut message,
        )
    };
    assert_eq!(status, Status::Store);
    assert!(message.body.is_null() && bytes.iter().all(|byte| *byte == 0));
    assert_eq!(bob.open(&envelope).err(), Some(Status::Stale));
    assert_eq!(bob.seal(b"unsaid").err(), Some(Status::Stale));
    bob.inside().world.stores_left = usize::MAX;
    assert_eq!(bob.power_cut(), Status::Ok);
    assert_eq!(body(&bob.open(&envelope).unwrap()), b"once");
    assert_eq!(bob.open(&envelope).err(), Some(Status::Unopenable));
    assert_eq!(
        bob.inside().world.inbox,
        [b"first".to_vec(), b"once".to_vec()]
    );
}

#[test]
fn an_accepted_start_survives_a_loss_of_power_at_every_commit() {
    for stores in 0..3 {
        let (mut alice, mut bob) = (Device::new(1), Device::new(2));
        assert_eq!(alice.start(&mut bob, true), Status::Ok);
        let first = alice.seal(b"first").unwrap();
        bob.inside().world.stores_left = stores;
        let accepted = bob.accept(&mut alice, &first).map(|message| body(&message));
        bob.inside().world.stores_left = usize::MAX;
        assert_eq!(bob.power_cut(), Status::Ok);
        if stores == 0 {
            assert_eq!(accepted, Err(Status::Store));
            assert_eq!(body(&bob.accept(&mut alice, &first).unwrap()), b"first");
        } else {
            assert_eq!(accepted.as_deref(), Ok(&b"first"[..]));
            assert_eq!(bob.open(&first).err(), Some(Status::Unopenable));
        }
        assert_eq!(bob.inside().world.inbox, [b"first".to_vec()], "{stores}");
        // Boot reconciles the pool with what the session names, and the record with the pool.
        assert_eq!(unspent(&mut bob), 7, "{stores}");
        // The record alone says so too: the session may be gone one day.
        let session = bob.inside().world.flash.remove(&SLOT).unwrap();
        assert_eq!(bob.power_cut(), Status::Ok);
        assert_eq!(unspent(&mut bob), 7, "{stores}");
        bob.inside().world.flash.insert(SLOT, session);
        assert_eq!(bob.power_cut(), Status::Ok);
        let answer = bob.seal(b"answer").unwrap();
        assert_eq!(body(&alice.open(&answer).unwrap()), b"answer");
    }
}

fn unspent(device: &mut std::pin::Pin<Box<Device>>) -> usize {
    let (d, mut count) = (device.parts(), 0);
    // SAFETY: the device's own prekeys and a local.
    let status = unsafe { hw_prekeys_unspent(d.prekeys, &raw mut count) };
    assert_eq!(status, Status::Ok);
    count
}

#[test]
fn no_start_is_accepted_twice_with_its_one_time_prekey() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, true), Status::Ok);
    let first = alice.seal(b"first").unwrap();
    assert_eq!(bob.accept(&mut alice, &first).unwrap().replayable, 0);
    // SAFETY: the device's own session.
    assert_eq!(unsafe { hw_session_wipe(bob.parts().session) }, Status::Ok);
    assert_eq!(
        bob.accept(&mut alice, &first).err(),
        Some(Status::Unopenable)
    );
}

#[test]
fn what_may_be_a_replay_is_marked() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    assert_eq!(alice.start(&mut bob, false), Status::Ok);
    let (first, second) = (
        alice.seal(b"first").unwrap(),
        alice.seal(b"second").unwrap(),
    );
    assert_eq!(bob.accept(&mut alice, &first).unwrap().replayable, 1);
    assert_eq!(bob.open(&second).unwrap().replayable, 1);
    let answer = bob.seal(b"answer").unwrap();
    alice.open(&answer).unwrap();
    let third = alice.seal(b"third").unwrap();
    assert_eq!(bob.open(&third).unwrap().replayable, 0, "confirmed");
}

#[test]
fn broken_randomness_stops_everything_and_changes_nothing() {
    let (mut alice, mut bob) = talking();
    let broken = [
        Random::Fails,
        Random::Stuck(0),
        Random::Stuck(0xff),
        Random::WritesNothing,
    ];
    for random in broken {
        alice.inside().world.random = random;
        let before = alice.inside().world.flash.clone();
        assert_eq!(
            alice.seal(b"unsaid").err(),
            Some(Status::Random),
            "{random:?}"
        );
        assert_eq!(alice.inside().world.flash, before);
        let mut blank = Device::blank(3);
        blank.inside().world.random = random;
        let d = blank.parts();
        // SAFETY: the device's own contexts.
        let status = unsafe { hushwire_c::identity::hw_identity_generate(d.identity, d.env) };
        assert_eq!(status, Status::Random);
        assert!(blank.inside().world.flash.is_empty());
    }
    alice.inside().world.random = Random::Healthy;
    let said = alice.seal(b"said").unwrap();
    assert_eq!(body(&bob.open(&said).unwrap()), b"said");
}

#[test]
fn prekeys_that_are_not_stored_are_not_published() {
    let mut device = Device::new(1);
    device.inside().world.stores_left = 0;
    let d = device.parts();
    // SAFETY: the device's own contexts.
    unsafe {
        assert_eq!(hw_prekeys_refill(d.prekeys, d.env), Status::Store);
        assert_eq!(hw_prekeys_refill(d.prekeys, d.env), Status::Stale);
    }
    device.inside().world.stores_left = usize::MAX;
    assert_eq!(device.power_cut(), Status::Ok);
    let mut changed = 9;
    const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;
    let bundle = device.bundle();
    let d = device.parts();
    // SAFETY: the device's own contexts and a local.
    unsafe {
        let rotate = |now, changed| hw_prekeys_rotate_if_due(d.prekeys, d.env, now, changed);
        assert_eq!(rotate(WEEK - 1, &raw mut changed), Status::Ok);
        assert_eq!(changed, 0);
        assert_eq!(rotate(WEEK, &raw mut changed), Status::Ok);
        assert_eq!(changed, 1);
    }
    assert_ne!(device.bundle()[..140], bundle[..140]);
    assert_eq!(
        device.inside().world.commits.last(),
        Some(&(HW_SLOT_PREKEYS, false))
    );
}

#[test]
fn a_call_back_cannot_use_the_context_that_is_busy() {
    let (mut alice, mut bob) = talking();
    let envelope = alice.seal(b"hello").unwrap();
    let d = bob.parts();
    let world = &mut bob.inside().world;
    world.target = d.session.cast();
    world.meddle = Some(|session| {
        // SAFETY: the very context of the running call; its tag is all that is looked at.
        unsafe { hw_session_wipe(session.cast()) }
    });
    assert_eq!(body(&bob.open(&envelope).unwrap()), b"hello");
    assert_eq!(bob.inside().world.meddled, [Status::State]);
}

/// A reboot jumps to the reserved position, an orderly stop does not: after 200 of either, the peer
/// can bridge the one gap (at most 1024) and not the other.
#[test]
fn an_orderly_stop_skips_no_number() {
    for orderly in [true, false] {
        let (mut alice, mut bob) = talking();
        for _ in 0..200 {
            alice.seal(b"never arrives").unwrap();
            let d = alice.parts();
            if orderly {
                // SAFETY: the device's own contexts and a local.
                unsafe {
                    assert_eq!(hw_session_close(d.session, d.env), Status::Ok);
                    let mut info = zeroed();
                    assert_eq!(hw_session_inspect(d.session, &raw mut info), Status::State);
                }
            }
            assert_eq!(alice.power_cut(), Status::Ok);
        }
        let envelope = alice.seal(b"arrives").unwrap();
        let opened = bob.open(&envelope).map(|message| body(&message));
        let expected = if orderly {
            Ok(b"arrives".to_vec())
        } else {
            Err(Status::TooFar)
        };
        assert_eq!(opened, expected);
        // Either way the peer can answer, and the conversation goes on.
        let answer = bob.seal(b"answer").unwrap();
        assert_eq!(body(&alice.open(&answer).unwrap()), b"answer");
    }
}
