//! A session's start, by both sides.

use core::hint::black_box;

use hushwire_core::crypto::{P256, PublicKey};
use hushwire_core::handshake::{Initiator, Received};
use hushwire_core::identity::{IdentityKeys as _, SoftwareIdentity};
use hushwire_core::limits::DEVICE_MAX_SKIP;
use hushwire_core::session::Session;
use hushwire_core::wire::bundle::{Bundle, PrekeyVerified};
use hushwire_core::wire::envelope::{Envelope, Opening};

use crate::conversation::{BUFFER, seal};
use crate::dice::Dice;
use crate::meter::Meter;
use crate::people::{MAX_BODY, ONE_TIME_PREKEY, People, SIGNED_PREKEY};

pub(crate) type DeviceSession = Session<DEVICE_MAX_SKIP>;

/// Both ends of one conversation.
pub(crate) struct Sessions {
    pub(crate) alice: DeviceSession,
    pub(crate) bob: DeviceSession,
    pub(crate) dice: Dice,
}

/// Identities, then a start with a one-time prekey as initiator and as responder.
#[inline(never)]
pub(crate) fn measure<B: P256 + Copy>(meter: &mut Meter, curve: B) -> (People, Sessions) {
    meter.run("identity", || {
        SoftwareIdentity::from_seed(&mut { curve }, &black_box([3; 32])).unwrap()
    });
    let mut people = People::new(curve);
    let mut dice = Dice::new(3);
    let owner = people.bob.public().address();
    let bytes = people.bundle;
    let bundle = Bundle::parse(&bytes[..people.bundle_len]).unwrap();
    // From a bundle that nobody has looked at, into a place that the device has.
    let (mut alice, mut bob) = (None, None);
    meter.run("start_initiator", || {
        let verified = bundle.verify(&mut { curve }, &owner).unwrap();
        initiate(curve, &mut people, &mut dice, &verified, true, &mut alice);
    });
    let mut other = None;
    meter.run("start_initiator_without", || {
        let verified = bundle.verify(&mut { curve }, &owner).unwrap();
        initiate(curve, &mut people, &mut dice, &verified, false, &mut other);
    });

    let mut alice: DeviceSession = alice.unwrap();
    let mut buffer = [0; BUFFER];
    let len = seal(&mut alice, curve, &mut dice, b"hello", &mut buffer);
    // A device keeps the envelope as it came, for the case that another session wants it.
    let copy = buffer;
    meter.run("start_responder", || {
        respond(
            curve,
            &mut people,
            &copy[..len],
            &mut buffer[..len],
            &mut bob,
        );
    });
    let bob = bob.unwrap();
    (people, Sessions { alice, bob, dice })
}

#[inline(never)]
fn initiate<B: P256>(
    mut curve: B,
    people: &mut People,
    dice: &mut Dice,
    verified: &PrekeyVerified,
    with_one_time_prekey: bool,
    place: &mut Option<DeviceSession>,
) {
    let one_time = with_one_time_prekey.then(|| {
        let point = PublicKey::parse(&mut curve, people.one_time.public().bytes()).unwrap();
        (ONE_TIME_PREKEY, point)
    });
    let own = *people.alice.public();
    Initiator::new(&own, verified, MAX_BODY)
        .unwrap()
        .start_in(&mut curve, dice, &mut people.alice, one_time, place)
        .unwrap();
}

/// Up to the plaintext of the first message.
#[inline(never)]
fn respond<B: P256>(
    mut curve: B,
    people: &mut People,
    copy: &[u8],
    envelope: &mut [u8],
    place: &mut Option<DeviceSession>,
) {
    let Opening::Start(start) = Envelope::parse(copy).unwrap().opening else {
        panic!("no start");
    };
    let sender = Received::new(&mut curve, copy, start)
        .unwrap()
        .identify(&mut curve, &mut people.bob)
        .unwrap();
    let accepted = sender
        .accept(
            &mut curve,
            &mut people.bob,
            (SIGNED_PREKEY, &people.signed),
            Some((ONE_TIME_PREKEY, &people.one_time)),
        )
        .unwrap();
    let opened = accepted.open_in(&mut curve, envelope, place).unwrap();
    assert_eq!(opened.content.body, b"hello");
}
