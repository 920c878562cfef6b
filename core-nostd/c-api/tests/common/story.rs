//! What the C program and the Rust parties say to each other. The same for every way to build and run it.

use hushwire_core::{
    crypto::{KeyPair, Software},
    fingerprint::SafetyNumber,
    identity::{Address, IdentityKeys as _, IdentityPublic},
    link::{
        Bounds, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, LinkLimits, MESSAGE_1_LEN, MESSAGE_3_LEN,
        Next, RecordReader, Responder, TAIL_ROOM,
    },
    wire::EnvelopeId,
};

use super::{
    party::Party,
    peer::{Answer, Peer},
};

/// Messages each way in each conversation.
const MESSAGES: usize = 20;

const UNOPENABLE: &str = "the message does not open";
const NOT_STORED: &str = "the state could not be stored";
const STALE: &str = "storage is behind this context: wipe and restore it";

/// What the C program has published.
struct Published {
    address: Address,
    identity: IdentityPublic,
    bundle: Vec<u8>,
    prekeys: Vec<u8>,
}

/// All of it.
pub(crate) fn tell(peer: &mut Peer) {
    let published = boot(peer);
    let again = {
        power_cut(peer);
        published_in(&peer.must("boot"))
    };
    assert_eq!(
        published.address, again.address,
        "an identity lives in storage"
    );

    let mut bob = Party::new(1);
    c_starts(peer, &mut bob);
    both_ways(peer, 0, &mut bob);
    safety(peer, &published, &bob);
    forgeries(peer, 0, &mut bob);
    a_worn_flash(peer, 0, &mut bob);

    let mut dave = Party::new(2);
    rust_starts(peer, &published, &mut dave);
    both_ways(peer, 1, &mut dave);
    both_ways(peer, 0, &mut bob);
    link(peer, &published);
    peer.ask("nonsense")
        .failed("a pointer, length or value is impossible");
}

fn boot(peer: &mut Peer) -> Published {
    published_in(&peer.must("boot"))
}

fn published_in(answer: &Answer) -> Published {
    let identity = answer.bytes("public").try_into().unwrap();
    let identity = IdentityPublic::parse(&mut Software, &identity).unwrap();
    let address = Address(answer.bytes("address").try_into().unwrap());
    assert_eq!(identity.address(), address);
    Published {
        address,
        identity,
        bundle: answer.bytes("bundle"),
        prekeys: answer.bytes("prekeys"),
    }
}

/// RAM is gone; what was stored is not.
fn power_cut(peer: &mut Peer) {
    peer.must("power");
    peer.ask("send 0 nobody")
        .failed("the context is not in the state that the call needs");
}

/// The first flight of the C program arrives in an order that no network would choose.
fn c_starts(peer: &mut Peer, bob: &mut Party) {
    peer.must(&format!("contact 0 {}", hex::encode(bob.address().0)));
    let (bundle, one_time) = (
        hex::encode(bob.bundle()),
        hex::encode(bob.one_time_prekey()),
    );
    let mut forged = bundle.clone();
    forged.replace_range(300..301, if &bundle[300..301] == "0" { "1" } else { "0" });
    peer.ask(&format!("start 0 {forged} {one_time}"))
        .failed("the bundle is refused");
    peer.must(&format!("start 0 {bundle} {one_time}"));
    let envelopes: Vec<_> = (0..MESSAGES)
        .map(|n| send(peer, 0, &format!("first-{n}")))
        .collect();
    for n in shuffled() {
        assert_eq!(
            bob.open(&envelopes[n]).unwrap(),
            format!("first-{n}").as_bytes()
        );
    }
    assert!(
        envelopes.iter().all(|envelope| bob.open(envelope).is_err()),
        "repeats"
    );
}

fn rust_starts(peer: &mut Peer, published: &Published, dave: &mut Party) {
    peer.must(&format!("contact 1 {}", hex::encode(dave.address().0)));
    let one_time = &published.prekeys[37..74];
    dave.start(&published.address, &published.bundle, Some(one_time));
    let envelopes: Vec<_> = (0..MESSAGES)
        .map(|n| dave.seal(format!("flight {n}").as_bytes()))
        .collect();
    // Somebody else starts in Dave's name.
    let mut eve = Party::new(3);
    eve.start(&published.address, &published.bundle, Some(one_time));
    let false_start = eve.seal(b"I am Dave");
    deliver(peer, 1, &false_start).failed(UNOPENABLE);
    for (turn, n) in shuffled().enumerate() {
        if turn == MESSAGES / 2 {
            power_cut(peer);
            peer.must("boot");
        }
        receives(peer, 1, &envelopes[n], format!("flight {n}").as_bytes());
    }
    // The one-time prekey was spent by the first of them: no second start comes of it.
    power_cut(peer);
    let offered = published_in(&peer.must("boot")).prekeys;
    assert_eq!(offered.len(), published.prekeys.len() - 37);
    assert!(!offered.chunks(37).any(|listed| listed == one_time));
}

/// Both send, with a cut of power in the middle; everything opens once, in any order.
fn both_ways(peer: &mut Peer, who: usize, party: &mut Party) {
    let bodies: Vec<_> = (0..MESSAGES).map(|n| vec![n as u8; 1 + n * 53]).collect();
    let envelopes: Vec<_> = bodies.iter().map(|body| party.seal(body)).collect();
    for n in shuffled() {
        receives(peer, who, &envelopes[n], &bodies[n]);
    }
    deliver(peer, who, &envelopes[0]).failed(UNOPENABLE);
    let mut sent = Vec::new();
    for n in 0..MESSAGES {
        if n == MESSAGES / 2 {
            power_cut(peer);
            peer.must("boot");
        }
        let text = format!("{n}-").repeat(1 + n * 12);
        sent.push((send(peer, who, &text), text));
    }
    for n in shuffled() {
        assert_eq!(party.open(&sent[n].0).unwrap(), sent[n].1.as_bytes());
    }
}

fn safety(peer: &mut Peer, published: &Published, party: &Party) {
    let number = SafetyNumber::new(party.identity.public(), &published.identity);
    assert_eq!(peer.must("safety 0").text("safety"), number.to_string());
}

/// Every kind of forgery gives the one answer, and the true message opens after it.
fn forgeries(peer: &mut Peer, who: usize, party: &mut Party) {
    let envelope = party.seal(b"true");
    for at in [0, 2, 3, 20, 40, 80, envelope.len() - 1] {
        let mut forged = envelope.clone();
        forged[at] ^= 1;
        deliver(peer, who, &forged).failed(UNOPENABLE);
    }
    for len in [0, 1, 100, envelope.len() - 1] {
        deliver(peer, who, &envelope[..len]).failed(UNOPENABLE);
    }
    receives(peer, who, &envelope, b"true");
}

/// Persist before send, persist before ack: where storing fails, nothing comes out.
fn a_worn_flash(peer: &mut Peer, who: usize, party: &mut Party) {
    // A step is due, so this seal has to store.
    peer.must("worn 1");
    let refused = peer.ask(&format!("send {who} unsaid"));
    assert!(!refused.failed(NOT_STORED).has("envelope"));
    let envelope = send(peer, who, "said");
    assert_eq!(party.open(&envelope).unwrap(), b"said");
    // Within the reservation no seal stores.
    peer.must("worn 1");
    let envelope = send(peer, who, "covered");
    assert_eq!(party.open(&envelope).unwrap(), b"covered");

    let envelope = party.seal(b"kept by the relay");
    let refused = deliver(peer, who, &envelope);
    refused.failed(NOT_STORED);
    assert!(!refused.has("message") && !refused.has("ack") && !refused.has("refuse"));
    deliver(peer, who, &envelope).failed(STALE);
    peer.ask(&format!("send {who} unsaid")).failed(STALE);
    power_cut(peer);
    peer.must("boot");
    receives(peer, who, &envelope, b"kept by the relay");
}

/// The handshake with the core's own responder, records each way, and a forged one.
fn link(peer: &mut Peer, published: &Published) {
    let mut relay = Party::new(9);
    let (p256, rng) = (&mut Software, &mut relay.rng);
    let key = KeyPair::generate(p256, rng).unwrap();
    let first = peer
        .must(&format!("link {}", hex::encode(key.public().bytes())))
        .bytes("flight");
    let mut stream = RecordReader::new([0; 2048]);
    let read = |stream: &mut RecordReader<[u8; 2048]>, bytes: &[u8], bounds| {
        stream.room()[..bytes.len()].copy_from_slice(bytes);
        stream.filled(bytes.len());
        match stream.next_record(bounds) {
            Ok(Next::Record(record)) => record.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    stream.room()[..5].copy_from_slice(&first[..5]);
    stream.filled(5);
    let greeted = Responder::greet(&stream.take().unwrap()).unwrap();
    let message = read(&mut stream, &first[5..], Bounds::exactly(MESSAGE_1_LEN));
    let mut second = [0; FLIGHT_2_LEN];
    let limits = LinkLimits::new(4000, 3982, 4).unwrap();
    let sent = greeted
        .read_message_1(p256, &key, &message)
        .unwrap()
        .write_message_2(p256, rng, limits, &mut second)
        .unwrap();
    peer.ask("seal 0003000102")
        .failed("the context is not in the state that the call needs");
    let third = peer
        .must(&format!("flight {}", hex::encode(second)))
        .bytes("flight");
    assert_eq!(third.len(), FLIGHT_3_LEN);
    let message = read(&mut stream, &third, Bounds::exactly(MESSAGE_3_LEN));
    let (transport, who) = sent.read_message_3(p256, &message).unwrap();
    assert_eq!(who.address(), published.address);
    assert_eq!(transport.peer_limits().window(), 1);

    let (mut sealer, mut opener) = transport.split();
    for len in [3_usize, 40, 1384] {
        let frames: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let record = peer
            .must(&format!("seal {}", hex::encode(&frames)))
            .bytes("record");
        let mut record = read(&mut stream, &record, Bounds::records(&limits));
        assert_eq!(opener.open(&mut record).unwrap(), frames);

        let mut record = vec![0; HEAD_ROOM + len + TAIL_ROOM];
        record[HEAD_ROOM..][..len].copy_from_slice(&frames);
        let whole = sealer.seal(&mut record, len).unwrap();
        let answer = peer.must(&format!("open {}", hex::encode(&record[..whole])));
        assert_eq!(answer.bytes("frames"), frames);
        peer.ask(&format!("open {}", hex::encode(&record[..whole - 1])))
            .failed("more bytes are needed");
    }
    let forged = format!("open 0020{}", "5a".repeat(32));
    peer.ask(&forged).failed("the link failed");
    peer.ask("seal 0003000102").failed("the link failed");
}

fn send(peer: &mut Peer, who: usize, text: &str) -> Vec<u8> {
    peer.must(&format!("send {who} {text}")).bytes("envelope")
}

fn deliver(peer: &mut Peer, who: usize, envelope: &[u8]) -> Answer {
    let answer = peer.ask(&format!("deliver {who} {}", hex::encode(envelope)));
    let id = EnvelopeId::of(envelope).0;
    for verdict in ["ack", "refuse"] {
        assert!(
            !answer.has(verdict) || answer.bytes(verdict) == id,
            "{answer:?}"
        );
    }
    if answer.failure.as_deref() == Some(UNOPENABLE) {
        assert!(answer.has("refuse") && !answer.has("message"), "{answer:?}");
    }
    answer
}

fn receives(peer: &mut Peer, who: usize, envelope: &[u8], body: &[u8]) {
    let answer = deliver(peer, who, envelope);
    assert_eq!(answer.failure, None, "{answer:?}");
    assert!(answer.has("ack"), "{answer:?}");
    assert_eq!(answer.bytes("message"), body);
}

/// Every number below [`MESSAGES`] once, far out of order.
fn shuffled() -> impl Iterator<Item = usize> {
    (0..MESSAGES).map(|n| (n * 7 + 11) % MESSAGES)
}
