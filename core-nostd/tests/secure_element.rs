//! An identity whose keys are in a secure element: whole conversations, and what happens when the
//! element fails. The driver and the chip are those of the example.

mod common;

#[path = "../examples/secure_element/chip.rs"]
mod chip;
#[path = "../examples/secure_element/driver.rs"]
mod driver;

use chip::{Fault, Wire};
use common::{
    ONE_TIME_ID, Party, SIGNED_ID, Ses, open, rng, seal,
    store::{MemoryStore, SKIP},
};
use driver::{Element, command};
use hushwire_core::{
    crypto::{CryptoError, KeyPair, PublicKey, Software},
    endpoint::{Config, Cx, Endpoint, EndpointError},
    handshake::{Initiator, Received, StartError},
    identity::{Address, IdentityKeys as _},
    link::{self, FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, LinkLimits, Responder},
    peer::{Peer, Standing},
    session::OpenError,
    storage::{Event, Storage as _},
    wire::{
        answer::{Answer, Welcome},
        bundle::{Bundle, BundleFields, MAX_LEN},
        envelope::{Envelope, Opening},
        request::Request,
    },
};
use rand_chacha::ChaCha20Rng;

type Identity = Element<Wire>;

const DEAD: [Fault; 3] = [Fault::Silent; 3];

/// A device with its element, and the wire to look at the chip.
fn device(seed: u8) -> (Identity, Wire) {
    let wire = Wire::provision(seed);
    let identity = Element::connect(wire.clone(), &mut Software).unwrap();
    wire.done();
    (identity, wire)
}

/// The element starts a session with a party, and the party reads its first message.
fn start_with(identity: &mut Identity, party: &mut Party) -> Result<Ses, StartError> {
    let verified = party.verified();
    let public = *identity.public();
    Initiator::new(&public, &verified, 1024)?.start(
        &mut Software,
        &mut rng(1),
        identity,
        Some((ONE_TIME_ID, *party.one_time.public())),
    )
}

/// The element answers a party's start.
fn respond(
    identity: &mut Identity,
    signed: &KeyPair,
    envelope: &[u8],
) -> Result<(Ses, Vec<u8>), OpenError> {
    let mut bytes = envelope.to_vec();
    let Opening::Start(start) = Envelope::parse(envelope).unwrap().opening else {
        panic!("no start");
    };
    let (session, opened) = Received::new(&mut Software, envelope, start)?
        .identify(&mut Software, identity)?
        .accept(&mut Software, identity, (SIGNED_ID, signed), None)?
        .open(&mut Software, &mut bytes)?;
    Ok((session, opened.content.body.to_vec()))
}

fn publish(identity: &mut Identity, signed: &KeyPair) -> Vec<u8> {
    let public = *identity.public();
    let fields = BundleFields {
        identity: &public,
        counter: 1,
        max_body: 1024,
        signed_prekey: (SIGNED_ID, *signed.public()),
    };
    let mut bundle = vec![0; MAX_LEN];
    let sign = |digest: &[u8; 32]| identity.sign(&mut Software, digest, &[7; 32]);
    let len = fields.sign(&mut bundle, sign).unwrap();
    bundle.truncate(len);
    bundle
}

#[test]
fn a_conversation_that_the_element_starts() {
    let (mut identity, wire) = device(1);
    let mut bob = Party::new(2);
    let mut a = start_with(&mut identity, &mut bob).unwrap();
    let hello = seal(&mut a, &mut rng(2), b"hello");
    let (mut b, who, body) = bob.respond(&hello).unwrap();
    assert_eq!((who, &body[..]), (*identity.public(), &b"hello"[..]));
    for round in 0..8_u8 {
        let answer = seal(&mut b, &mut bob.rng, &[round]);
        assert_eq!(open(&mut a, &answer).unwrap(), [round]);
        let next = seal(&mut a, &mut rng(u64::from(round) + 3), &[round, 1]);
        assert_eq!(open(&mut b, &next).unwrap(), [round, 1]);
    }
    // The start alone needs it: an element of a few hundred milliseconds slows no message.
    assert_eq!(wire.done(), [command::AGREE]);
}

#[test]
fn a_conversation_that_the_element_answers() {
    let (mut identity, wire) = device(3);
    let signed = KeyPair::generate(&mut Software, &mut rng(3)).unwrap();
    let bundle = publish(&mut identity, &signed);
    assert_eq!(wire.done(), [command::SIGN]);

    let mut alice = Party::new(4);
    let verified = Bundle::parse(&bundle)
        .unwrap()
        .verify(&mut Software, &identity.public().address())
        .unwrap();
    let mut a: Ses = Initiator::new(&alice.public, &verified, 1024)
        .unwrap()
        .start(&mut Software, &mut alice.rng, &mut alice.identity, None)
        .unwrap();
    let hello = seal(&mut a, &mut alice.rng, b"hello");
    let (mut b, body) = respond(&mut identity, &signed, &hello).unwrap();
    assert_eq!(body, b"hello");
    let answer = seal(&mut b, &mut rng(5), b"hello yourself");
    assert_eq!(open(&mut a, &answer).unwrap(), b"hello yourself");
    assert_eq!(wire.done(), [command::AGREE]);
}

#[test]
fn the_link_is_shaken_by_the_element() {
    let (mut identity, wire) = device(5);
    let relay_key = KeyPair::generate(&mut Software, &mut rng(5)).unwrap();
    let limits = LinkLimits::new(1400, 1382, 1).unwrap();
    let (mut first, mut second, mut third) =
        ([0; FLIGHT_1_LEN], [0; FLIGHT_2_LEN], [0; FLIGHT_3_LEN]);
    let client = link::Initiator::new(*relay_key.public(), limits)
        .write_message_1(&mut Software, &mut rng(6), &mut first)
        .unwrap();
    let (preamble, message) = first.split_first_chunk().unwrap();
    let relay = Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut Software, &relay_key, &message[HEAD_ROOM..])
        .unwrap()
        .write_message_2(&mut Software, &mut rng(7), limits, &mut second)
        .unwrap();
    client
        .read_message_2(&mut Software, &second[HEAD_ROOM..])
        .unwrap()
        .write_message_3(&mut Software, &mut identity, &mut third)
        .unwrap();
    let (_, who) = relay
        .read_message_3(&mut Software, &third[HEAD_ROOM..])
        .unwrap();
    assert_eq!(who, *identity.public());
    assert_eq!(wire.done(), [command::AGREE]);
}

#[test]
fn what_a_bus_does_to_bytes_is_tried_again() {
    let (mut identity, wire) = device(6);
    for fault in [
        Fault::Silent,
        Fault::CommandGarbled,
        Fault::AnswerGarbled,
        Fault::AnswerShort,
    ] {
        wire.fail(&[fault, fault]);
        let digest = [fault as u8; 32];
        let signed = identity.sign(&mut Software, &digest, &[]);
        assert!(signed.is_ok(), "{fault:?}");
        wire.fail(&[fault; 3]);
        let signed = identity.sign(&mut Software, &digest, &[]);
        assert_eq!(signed, Err(CryptoError::Backend), "{fault:?}");
    }
}

#[test]
fn a_wrong_signature_does_not_leave() {
    let (mut identity, wire) = device(7);
    wire.fail(&[Fault::Miscounts]);
    let signed = identity.sign(&mut Software, &[1; 32], &[]);
    assert_eq!(signed, Err(CryptoError::Backend));
}

#[test]
fn a_peers_bad_point_is_the_peers_fault() {
    let (mut identity, wire) = device(8);
    let mut bytes = [0; 33];
    bytes[0] = 2;
    let off_the_curve = (0..=u8::MAX)
        .find(|x| {
            bytes[32] = *x;
            PublicKey::parse(&mut Software, &bytes).is_err()
        })
        .map(|_| PublicKey::from_backend(bytes))
        .unwrap();
    let agreed = identity.agree(&mut Software, &off_the_curve).map(drop);
    assert_eq!(agreed, Err(CryptoError::InvalidKey));
    assert!(wire.done().is_empty(), "the chip is not even asked");
}

#[test]
fn a_start_that_fails_leaves_nothing_and_succeeds_later() {
    let (mut identity, wire) = device(9);
    let mut bob = Party::new(10);
    for faults in [&DEAD[..], &[Fault::Refuses]] {
        wire.fail(faults);
        let failed = start_with(&mut identity, &mut bob).map(drop);
        assert_eq!(failed, Err(StartError::Crypto(CryptoError::Backend)));
    }
    let mut a = start_with(&mut identity, &mut bob).unwrap();
    let hello = seal(&mut a, &mut rng(2), b"hello");
    assert!(bob.respond(&hello).is_some());
}

#[test]
fn a_first_message_that_the_element_could_not_open_opens_later() {
    let (mut identity, wire) = device(11);
    let signed = KeyPair::generate(&mut Software, &mut rng(11)).unwrap();
    let bundle = publish(&mut identity, &signed);
    let mut alice = Party::new(12);
    let verified = Bundle::parse(&bundle)
        .unwrap()
        .verify(&mut Software, &identity.public().address())
        .unwrap();
    let mut a: Ses = Initiator::new(&alice.public, &verified, 1024)
        .unwrap()
        .start(&mut Software, &mut alice.rng, &mut alice.identity, None)
        .unwrap();
    let hello = seal(&mut a, &mut alice.rng, b"hello");
    wire.fail(&DEAD);
    let failed = respond(&mut identity, &signed, &hello).map(drop);
    assert_eq!(failed, Err(OpenError::Backend), "not: unopenable");
    assert!(respond(&mut identity, &signed, &hello).is_ok());
}

/// A whole endpoint over an element, and what it says to its relay.
struct Device {
    endpoint: Endpoint<Identity, Software, SKIP, 4>,
    store: MemoryStore,
    rng: ChaCha20Rng,
    wire: Wire,
}

const LINK: u8 = 0;

type Failure = EndpointError<common::store::PowerLost>;

impl Device {
    fn new(seed: u8, contact: Address) -> Self {
        let (identity, wire) = device(seed);
        let (mut store, mut rng) = (MemoryStore::new(), rng(u64::from(seed)));
        let config = Config {
            max_body: 1024,
            accept_strangers: false,
            home: LINK,
        };
        let mut cx = Cx {
            store: &mut store,
            rng: &mut rng,
            now: 1,
        };
        let endpoint = Endpoint::new(identity, Software, config, &mut cx).unwrap();
        store
            .create(Peer::new(contact, Standing::Contact, LINK))
            .unwrap();
        store.save(&contact).unwrap();
        store.commit().unwrap();
        Self {
            endpoint,
            store,
            rng,
            wire,
        }
    }

    fn give(&mut self, answer: &Answer<'_>) -> Result<(), Failure> {
        let mut frame = vec![0; 4096];
        let len = answer.emit(&mut frame).unwrap();
        let Self {
            endpoint,
            store,
            rng,
            ..
        } = self;
        let mut cx = Cx { store, rng, now: 2 };
        endpoint
            .handle_frame(&mut cx, LINK, &mut frame[..len])
            .map(drop)
    }

    /// Everything that is due out, until nothing is.
    fn take(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut frames = Vec::new();
        for _ in 0..50 {
            let mut out = vec![0; 4096];
            let Self {
                endpoint,
                store,
                rng,
                ..
            } = self;
            let mut cx = Cx { store, rng, now: 2 };
            match endpoint.poll_transmit(&mut cx, LINK, &mut out)? {
                Some(len) => frames.push(out[..len].to_vec()),
                None => break,
            }
        }
        Ok(frames)
    }

    /// The driver's answer to an error: a new link.
    fn connect(&mut self) {
        let Self {
            endpoint,
            store,
            rng,
            ..
        } = self;
        let mut cx = Cx { store, rng, now: 2 };
        endpoint.disconnected(&mut cx, LINK).unwrap();
        let welcome = Welcome {
            epoch: 1,
            next_sequence: 0,
            unix_seconds: 0,
            waiting: 0,
            prekeys: 0,
            bundle_counter: 0,
        };
        self.give(&Answer::Welcome(welcome)).unwrap();
    }

    /// Publishes, and returns the bundle.
    fn publish(&mut self) -> Vec<u8> {
        let frames = self.take().unwrap();
        let published = frames.iter().find_map(|frame| match Request::parse(frame) {
            Ok(Request::Publish { bundle, .. }) => Some(bundle.to_vec()),
            _ => None,
        });
        published.expect("a new device publishes")
    }
}

#[test]
fn an_endpoint_publishes_once_its_element_signs() {
    let mut device = Device::new(13, Party::new(14).public.address());
    device.connect();
    device.wire.fail(&DEAD);
    let failed = device.take();
    assert_eq!(failed, Err(EndpointError::Crypto(CryptoError::Backend)));
    device.connect();
    let bundle = device.publish();
    let owner = device.endpoint.address();
    assert!(
        Bundle::parse(&bundle)
            .unwrap()
            .verify(&mut Software, &owner)
            .is_ok()
    );
}

#[test]
fn an_endpoint_neither_acks_nor_refuses_what_its_element_could_not_open() {
    let mut alice = Party::new(15);
    let mut device = Device::new(16, alice.public.address());
    device.connect();
    let bundle = device.publish();
    let verified = Bundle::parse(&bundle)
        .unwrap()
        .verify(&mut Software, &device.endpoint.address())
        .unwrap();
    let mut a: Ses = Initiator::new(&alice.public, &verified, 1024)
        .unwrap()
        .start(&mut Software, &mut alice.rng, &mut alice.identity, None)
        .unwrap();
    let hello = seal(&mut a, &mut alice.rng, b"hello");
    let deliver = Answer::Deliver {
        sequence: 0,
        stored_at: 0,
        sender: alice.public.address(),
        envelope: &hello,
    };

    let before = device.store.durable.clone();
    device.wire.fail(&DEAD);
    let failed = device.give(&deliver);
    assert_eq!(failed, Err(EndpointError::Crypto(CryptoError::Backend)));
    let said = device.take().unwrap();
    let verdict = |frame: &Vec<u8>| {
        matches!(
            Request::parse(frame),
            Ok(Request::Ack(_) | Request::Refuse(_))
        )
    };
    assert!(!said.iter().any(verdict), "the mailbox keeps the message");
    assert_eq!(device.store.durable.peers, before.peers);
    assert!(device.store.durable.inbox.is_empty());

    device.connect();
    device.give(&deliver).unwrap();
    let said = device.take().unwrap();
    let acked = |frame: &Vec<u8>| matches!(Request::parse(frame), Ok(Request::Ack(_)));
    assert!(said.iter().any(acked));
    assert_eq!(device.store.durable.inbox[0].body, b"hello");
}

#[test]
fn a_bundle_is_not_blamed_for_a_dead_element() {
    let mut bob = Party::new(17);
    let peer = bob.public.address();
    let mut device = Device::new(18, peer);
    device.connect();
    device.take().unwrap();
    let Device {
        endpoint,
        store,
        rng,
        ..
    } = &mut device;
    let mut cx = Cx { store, rng, now: 2 };
    endpoint.send(&mut cx, &peer, b"hello").unwrap();

    let bundle = bob.bundle();
    for dead in [true, false] {
        let asked = device.take().unwrap();
        let number = asked.iter().find_map(|frame| match Request::parse(frame) {
            Ok(Request::Fetch { number, address }) if address == peer => Some(number),
            _ => None,
        });
        let answer = Answer::Bundle {
            number: number.expect("it asks for the bundle"),
            address: peer,
            prekey: Some((ONE_TIME_ID, *bob.one_time.public().bytes())),
            bundle: &bundle,
        };
        device.wire.fail(if dead { &DEAD } else { &[] });
        let given = device.give(&answer);
        if dead {
            assert_eq!(given, Err(EndpointError::Crypto(CryptoError::Backend)));
            let blamed = |event: &Event| matches!(event, Event::BadBundle { .. });
            assert!(!device.store.events.iter().any(blamed));
            device.connect();
        } else {
            given.unwrap();
        }
    }
    let sent = device.take().unwrap();
    let envelope = sent.iter().find_map(|frame| match Request::parse(frame) {
        Ok(Request::Submit { to, envelope }) if to == peer => Some(envelope.to_vec()),
        _ => None,
    });
    let (_, who, body) = bob.respond(&envelope.unwrap()).unwrap();
    assert_eq!(
        (who, &body[..]),
        (*device.endpoint.identity(), &b"hello"[..])
    );
}
