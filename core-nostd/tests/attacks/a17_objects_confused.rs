//! A17: every object fed to every other parser. None is accepted.
//!
//! Objects that say what they are in more than their first byte are also cut and padded to each
//! length that a parser takes. A request or an answer does not: it is an opcode and fields of a known
//! length, so *any* 17 bytes that begin with 02 are an ack. What keeps those apart is the record
//! around them, which authenticates the peer and the direction. They are fed whole objects.

use std::cell::RefCell;

use hushwire_core::{
    crypto::{P256 as _, Signature, Software},
    identity::{Address, IdentityKeys as _, IdentityPublic},
    link::{HEAD_ROOM, MESSAGE_1_LEN, MESSAGE_2_LEN, MESSAGE_3_LEN, PREAMBLE_LEN, Responder},
    wire::{
        EnvelopeId,
        bundle::{self, Bundle},
        envelope::{Envelope, Opening},
        frame::Frames,
    },
};
use rand_chacha::rand_core::Rng as _;

use crate::common;
use crate::common::{Party, identity, pair, rng};
use crate::link as world;
use crate::link::World;
use crate::objects::{Object, Samples, takes_answer, takes_request};

const SEED: u64 = 0x4136;
const MAX_ENVELOPE: usize = 16_384 + 512;

/// Whether some bytes are taken.
type Takes = dyn Fn(&[u8]) -> bool;

/// A parser: its name, whether it takes some bytes, and lengths worth trying on it.
struct Parser {
    name: &'static str,
    takes: Box<Takes>,
    lengths: Vec<usize>,
}

fn parser(
    name: &'static str,
    lengths: impl IntoIterator<Item = usize>,
    takes: impl Fn(&[u8]) -> bool + 'static,
) -> Parser {
    let (takes, lengths) = (Box::new(takes), lengths.into_iter().collect());
    Parser {
        name,
        takes,
        lengths,
    }
}

fn parsers(samples: &Samples) -> Vec<Parser> {
    let lengths = |objects: Vec<Object>| objects.into_iter().map(|(_, bytes)| bytes.len());
    let world = World::new(SEED);
    let (hello, answer, login) = (world.clone(), world.clone(), world.clone());
    let first = world.hello(&world.relay).1;
    let (to_relay, to_client) = (World::new(SEED), World::new(SEED));
    let (sessions, recipient) = (RefCell::new(pair(1)), RefCell::new(Party::new(2)));
    vec![
        parser("request", [], takes_request),
        parser("answer", [], takes_answer),
        parser("bundle", (1..=4).map(bundle::len), |bytes| {
            Bundle::parse(bytes).is_ok()
        }),
        parser("envelope", lengths(samples.envelopes()), |bytes| {
            Envelope::parse(bytes).is_ok()
        }),
        parser("record's frames", [samples.record().len()], |bytes| {
            Frames::new(bytes).all(|frame| frame.is_ok_and(takes_request))
        }),
        parser("preamble", [PREAMBLE_LEN], |bytes| {
            bytes
                .try_into()
                .is_ok_and(|preamble| Responder::greet(preamble).is_ok())
        }),
        parser("message 1", [MESSAGE_1_LEN], move |bytes| {
            hello.answer(bytes).is_ok()
        }),
        parser("message 2", [MESSAGE_2_LEN], move |bytes| {
            answer.login(answer.hello(&answer.relay).0, bytes).is_ok()
        }),
        parser("message 3", [MESSAGE_3_LEN], move |bytes| {
            let (relay, _) = login.answer(&first[PREAMBLE_LEN + HEAD_ROOM..]).unwrap();
            relay.read_message_3(&mut Software, bytes).is_ok()
        }),
        parser("record to the relay", [23, 64], move |bytes| {
            let (_, mut opener) = to_relay.connect().1.split();
            opener.open(&mut bytes.to_vec()).is_ok()
        }),
        parser("record to the client", [23, 64], move |bytes| {
            let (_, mut opener) = to_client.connect().0.split();
            opener.open(&mut bytes.to_vec()).is_ok()
        }),
        parser("identity", [], |bytes| {
            bytes
                .try_into()
                .is_ok_and(|keys| IdentityPublic::parse(&mut Software, keys).is_ok())
        }),
        parser("address", [], |bytes| {
            str::from_utf8(bytes).is_ok_and(|text| text.parse::<Address>().is_ok())
        }),
        // A failed attempt changes nothing, so one session and one recipient see them all.
        parser("session", lengths(samples.envelopes()), move |bytes| {
            let (_, _, a, b) = &mut *sessions.borrow_mut();
            common::open(a, bytes).is_some() || common::open(b, bytes).is_some()
        }),
        parser(
            "session start",
            lengths(samples.envelopes()),
            move |bytes| recipient.borrow_mut().respond(bytes).is_some(),
        ),
    ]
}

/// Every object, with the names of the parsers that are its own.
fn all(samples: &Samples) -> Vec<(String, Vec<u8>, &'static [&'static str])> {
    let world = World::new(SEED);
    let (client, relay, who, (first, second, third)) = world.connect();
    let (mut to_relay, mut to_client) = (client.split().0, relay.split().0);
    let frame = b"\x00\x03\x0c\x00\x07";
    let record = |sealer| world::seal(sealer, frame)[HEAD_ROOM..].to_vec();
    let mut objects: Vec<(String, Vec<u8>, &'static [&'static str])> = vec![
        ("bundle".into(), samples.bundle.clone(), &["bundle"]),
        ("frames".into(), samples.record(), &["record's frames"]),
        (
            "preamble".into(),
            first[..PREAMBLE_LEN].to_vec(),
            &["preamble"],
        ),
        (
            "message 1".into(),
            first[PREAMBLE_LEN + HEAD_ROOM..].to_vec(),
            &["message 1"],
        ),
        (
            "message 2".into(),
            second[HEAD_ROOM..].to_vec(),
            &["message 2"],
        ),
        (
            "message 3".into(),
            third[HEAD_ROOM..].to_vec(),
            &["message 3"],
        ),
        (
            "record up".into(),
            record(&mut to_relay),
            &["record to the relay"],
        ),
        (
            "record down".into(),
            record(&mut to_client),
            &["record to the client"],
        ),
        ("identity".into(), who.bytes().to_vec(), &["identity"]),
        (
            "address".into(),
            who.address().to_string().into_bytes(),
            &["address"],
        ),
        ("raw address".into(), who.address().0.to_vec(), &[]),
        (
            "envelope id".into(),
            EnvelopeId::of(&samples.message).0.to_vec(),
            &[],
        ),
    ];
    for (name, bytes) in samples.requests() {
        objects.push((format!("request: {name}"), bytes, &["request"]));
    }
    for (name, bytes) in samples.answers() {
        objects.push((format!("answer: {name}"), bytes, &["answer"]));
    }
    objects.push((
        "envelope: message".into(),
        samples.message.clone(),
        &["envelope"],
    ));
    let starts: &[&str] = &["envelope", "session start"];
    objects.push(("envelope: start".into(), samples.start.clone(), starts));
    objects.push((
        "envelope: start without".into(),
        samples.start_without.clone(),
        starts,
    ));
    objects
}

#[test]
fn a17_objects_confused() {
    println!("seed {SEED:#x}");
    let samples = Samples::new();
    let (parsers, objects) = (parsers(&samples), all(&samples));
    let mut noise = vec![0; MAX_ENVELOPE];
    rng(SEED).fill_bytes(&mut noise);
    let (mut own, mut refused) = (0, 0);
    for (name, bytes, homes) in &objects {
        for Parser {
            name: parser,
            takes,
            lengths,
        } in &parsers
        {
            if homes.contains(parser) {
                assert!(
                    takes(bytes),
                    "{name} must be taken by its own parser, {parser}"
                );
                own += 1;
                continue;
            }
            assert!(!takes(bytes), "{name} taken by {parser}");
            refused += 1;
            for len in lengths {
                let mut forced = bytes.clone();
                forced.truncate(*len);
                forced.extend_from_slice(&noise[..len - forced.len()]);
                assert!(
                    !takes(&forced),
                    "{name}, forced to {len} bytes, taken by {parser}"
                );
                refused += 1;
            }
        }
    }
    println!(
        "{} objects, {} parsers: {own} taken at home, {refused} refused elsewhere",
        objects.len(),
        parsers.len()
    );
    assert_eq!((objects.len(), parsers.len()), (42, 15));
    assert_eq!(own, 42);
}

/// Version and suite, and a bundle's first byte, are looked at: every other value is refused.
#[test]
fn a17_first_bytes() {
    let samples = Samples::new();
    let refused = |bytes: &[u8], at: usize, takes: &Takes| {
        for other in (0..=u8::MAX).filter(|other| *other != bytes[at]) {
            let mut bytes = bytes.to_vec();
            bytes[at] = other;
            assert!(!takes(&bytes), "byte {at} as {other:02x}");
        }
    };
    for at in [0, 1] {
        refused(&samples.bundle, at, &|bytes| Bundle::parse(bytes).is_ok());
        for (_, envelope) in samples.envelopes() {
            refused(&envelope, at, &|bytes| Envelope::parse(bytes).is_ok());
        }
    }
    let (_, prekeys) = &samples.requests()[4];
    refused(prekeys, 3, &takes_request);
}

/// One kind of envelope is not taken for another: the clear bytes are authenticated.
#[test]
fn a17_kinds_of_envelopes() {
    let samples = Samples::new();
    let (_, _, mut a, mut b) = pair(1);
    let mut recipient = Party::new(2);
    for (name, bytes) in samples.envelopes() {
        for kind in (0..=u8::MAX).filter(|kind| *kind != bytes[2]) {
            let mut other = bytes.clone();
            other[2] = kind;
            assert!(recipient.respond(&other).is_none(), "{name} as {kind}");
            assert_eq!(common::open(&mut a, &other), None, "{name} as {kind}");
            assert_eq!(common::open(&mut b, &other), None, "{name} as {kind}");
        }
        // Its own ratchet part without its opening, as a message.
        if let Opening::Start(_) = Envelope::parse(&bytes).unwrap().opening {
            let prefix = Envelope::parse(&bytes).unwrap().prefix_len;
            let message = [&[1, 1, 1], &bytes[prefix..]].concat();
            assert!(Envelope::parse(&message).is_ok(), "a message by its form");
            let (mut session, ..) = recipient.respond(&bytes).unwrap();
            assert_eq!(common::open(&mut session, &message), None);
        }
    }
}

/// What `IKs` signs as a bundle verifies as nothing else, and nothing else as a bundle.
#[test]
fn a17_signatures() {
    let samples = Samples::new();
    let mut owner = identity(2);
    let public = *owner.public();
    let (signed, signature) = samples.bundle.split_last_chunk::<64>().unwrap();
    let signature = Signature(*signature);
    let sha256 = |parts: &[&[u8]]| hushwire_core::crypto::kdf::sha256(parts);
    for digest in [
        sha256(&[signed]),
        sha256(&[&public.address().0, signed]),
        sha256(&[b"hushwire v1 transcript", &public.address().0, signed]),
        sha256(&[&samples.bundle]),
    ] {
        assert!(
            Software
                .verify(public.signing(), &digest, &signature)
                .is_err()
        );
        let other = owner.sign(&mut Software, &digest, &[]).unwrap();
        let bytes = [signed, &other.0].concat();
        let parsed = Bundle::parse(&bytes).unwrap();
        assert!(parsed.verify(&mut Software, &public.address()).is_err());
    }
    // The same signature under the identity's other key, and a bundle for another address.
    let digest = sha256(&[b"hushwire v1 bundle", &public.address().0, signed]);
    assert!(
        Software
            .verify(public.signing(), &digest, &signature)
            .is_ok()
    );
    assert!(
        Software
            .verify(public.agreement(), &digest, &signature)
            .is_err()
    );
    let parsed = Bundle::parse(&samples.bundle).unwrap();
    let stranger = identity(3).public().address();
    assert!(parsed.verify(&mut Software, &stranger).is_err());
}
