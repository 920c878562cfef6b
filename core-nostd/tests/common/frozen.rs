//! C2: one link handshake and 64 messages, every byte decided. Host and device include this file, so
//! it needs neither `std` nor a heap.

use core::convert::Infallible;

use hushwire_core::{
    crypto::{KeyPair, P256},
    handshake::{Initiator, Received},
    identity::{IdentityKeys as _, SoftwareIdentity},
    link::{self, FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, LinkLimits, Responder},
    session::{Content, Kind, Position, Session},
    wire::{
        MessageId,
        bundle::{self, Bundle, BundleFields},
        envelope::{Envelope, Opening},
    },
};
use rand_core::{TryCryptoRng, TryRng};

type Ses = Session<32>;

/// Messages of the conversation.
const MESSAGES: u8 = 64;
/// Lengths of their bodies, in turn: the edges of the small buckets, and one large message.
const LENGTHS: [usize; 13] = [5, 0, 1, 31, 32, 33, 63, 64, 65, 100, 128, 257, 600];
/// Messages that one side writes before the other does.
const BURST: u8 = 3;
const BUFFER: usize = 2048;

/// The same bytes in every run: a linear congruence (Knuth's MMIX constants). It is not random.
struct Script(u64);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)
            .map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// Plays the whole transcript; `line` is given each piece that is frozen, with its name.
pub(crate) fn play<B: P256 + Copy>(curve: B, mut line: impl FnMut(&str, &[u8])) {
    let mut rng = Script(1);
    let mut alice = SoftwareIdentity::from_seed(&mut { curve }, &[0xa1; 32]).unwrap();
    shake_hands(curve, &mut rng, &mut alice, &mut line);
    let (mut a, mut b) = converse(curve, &mut rng, &mut alice, &mut line);
    for (name, session) in [("record a", &mut a), ("record b", &mut b)] {
        let mut record = [0; Ses::MAX_ENCODED];
        let len = session.encode(Position::Reserved, &mut record).unwrap();
        line(name, &record[..len]);
    }
}

fn shake_hands<B: P256>(
    mut curve: B,
    rng: &mut Script,
    alice: &mut SoftwareIdentity,
    line: &mut impl FnMut(&str, &[u8]),
) {
    let relay_key = KeyPair::generate(&mut curve, rng).unwrap();
    let device = LinkLimits::new(1400, 1382, 1).unwrap();
    let host = LinkLimits::new(u16::MAX, 17_000, 16).unwrap();
    let (mut first, mut second, mut third) =
        ([0; FLIGHT_1_LEN], [0; FLIGHT_2_LEN], [0; FLIGHT_3_LEN]);
    let client = link::Initiator::new(*relay_key.public(), device)
        .write_message_1(&mut curve, rng, &mut first)
        .unwrap();
    line("flight 1", &first);
    let (preamble, message) = first.split_first_chunk().unwrap();
    let relay = Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut curve, &relay_key, &message[HEAD_ROOM..])
        .unwrap()
        .write_message_2(&mut curve, rng, host, &mut second)
        .unwrap();
    line("flight 2", &second);
    client
        .read_message_2(&mut curve, &second[HEAD_ROOM..])
        .unwrap()
        .write_message_3(&mut curve, alice, &mut third)
        .unwrap();
    line("flight 3", &third);
    let (_, who) = relay
        .read_message_3(&mut curve, &third[HEAD_ROOM..])
        .unwrap();
    assert_eq!(who, *alice.public());
}

/// Alice starts from Bob's bundle; they write in turns, so that each turn is a ratchet step.
fn converse<B: P256>(
    mut curve: B,
    rng: &mut Script,
    alice: &mut SoftwareIdentity,
    line: &mut impl FnMut(&str, &[u8]),
) -> (Ses, Ses) {
    let mut bob = SoftwareIdentity::from_seed(&mut curve, &[0xb0; 32]).unwrap();
    let signed = KeyPair::generate(&mut curve, rng).unwrap();
    let one_time = KeyPair::generate(&mut curve, rng).unwrap();
    let public = *bob.public();
    let mut bytes = [0; bundle::MAX_LEN];
    let fields = BundleFields {
        identity: &public,
        counter: 1,
        max_body: 1024,
        signed_prekey: (7, *signed.public()),
    };
    let len = fields
        .sign(&mut bytes, |digest| bob.sign(&mut curve, digest, &[7; 32]))
        .unwrap();
    line("bundle", &bytes[..len]);

    let verified = Bundle::parse(&bytes[..len])
        .unwrap()
        .verify(&mut curve, &public.address())
        .unwrap();
    let own = *alice.public();
    let mut a: Ses = Initiator::new(&own, &verified, 1024)
        .unwrap()
        .start(&mut curve, rng, alice, Some((8, *one_time.public())))
        .unwrap();

    let mut buffer = [0; BUFFER];
    let envelope = write(&mut a, &mut curve, rng, 0, &mut buffer);
    line("message", envelope);
    let mut copy = [0; BUFFER];
    let copy = &mut copy[..envelope.len()];
    copy.copy_from_slice(envelope);
    let Opening::Start(start) = Envelope::parse(copy).unwrap().opening else {
        panic!("no start");
    };
    let (mut b, opened): (Ses, _) = Received::new(&mut curve, copy, start)
        .unwrap()
        .identify(&mut curve, &mut bob)
        .unwrap()
        .accept(&mut curve, &mut bob, (7, &signed), Some((8, &one_time)))
        .unwrap()
        .open(&mut curve, envelope)
        .unwrap();
    assert_eq!(opened.content, content(0, &mut [0; 1024]));

    for number in 1..MESSAGES {
        let (from, to) = match number / BURST % 2 {
            0 => (&mut a, &mut b),
            _ => (&mut b, &mut a),
        };
        let envelope = write(from, &mut curve, rng, number, &mut buffer);
        line("message", envelope);
        let opened = to.open(&mut curve, envelope).unwrap();
        assert_eq!(opened.content, content(number, &mut [0; 1024]));
    }
    (a, b)
}

fn content(number: u8, body: &mut [u8; 1024]) -> Content<'_> {
    let body = &mut body[..LENGTHS[usize::from(number) % LENGTHS.len()]];
    body.fill(number);
    Content {
        kind: Kind::DATA,
        id: MessageId([number; 16]),
        body,
    }
}

fn write<'b>(
    session: &mut Ses,
    curve: &mut impl P256,
    rng: &mut Script,
    number: u8,
    out: &'b mut [u8],
) -> &'b mut [u8] {
    let mut body = [0; 1024];
    let content = content(number, &mut body);
    let len = session.sealed_len(content.body.len()).unwrap();
    // Nothing leaves this process, so no evidence is asked for.
    let _sealed = session.seal(curve, rng, &content, out).unwrap();
    &mut out[..len]
}
