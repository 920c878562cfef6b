//! `docs/vectors` on the device: what the core writes there is what an implementation that shares no
//! code with it says. `xtask/vectors/tests/replay` does the same on the host, with more files.

use hushwire_core::{
    crypto::{KeyPair, P256, PublicKey},
    handshake::{Initiator, Received},
    identity::{IdentityKeys as _, SoftwareIdentity},
    link::{self, FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, LinkLimits, Responder},
    session::{Content, Kind, Session},
    wire::{
        MessageId,
        bundle::{self, Bundle, BundleFields},
        envelope::{Envelope, Opening},
    },
};

use crate::{
    file::File,
    script::Script,
    vectors::{BUNDLE, CONVERSATION, LINK, START, START_WITHOUT},
};

type Ses = Session<32>;

/// Returns how many pieces of the wire were compared.
pub(crate) fn replay<B: P256 + Copy>(curve: B) -> usize {
    publish(curve, &File::new(BUNDLE))
        + shake_hands(curve, &File::new(LINK))
        + World::new(curve, File::new(START)).start_only()
        + World::new(curve, File::new(START_WITHOUT)).start_only()
        + World::new(curve, File::new(CONVERSATION)).talk()
}

fn publish(mut curve: impl P256, file: &File) -> usize {
    let mut owner = file.identity(&mut curve, "owner");
    let public = *owner.public();
    let prekey = file.at("signed_prekey");
    let point = PublicKey::parse(&mut curve, &prekey.array("point")).unwrap();
    let fields = BundleFields {
        identity: &public,
        counter: file.number("counter"),
        max_body: file.number("largest_body") as u16,
        signed_prekey: (prekey.number("id") as u32, point),
    };
    let mut buffer = [0; bundle::MAX_LEN];
    let len = fields
        .sign(&mut buffer, |digest| owner.sign(&mut curve, digest, &[]))
        .unwrap();
    assert!(buffer[..len] == *file.bytes("bundle"), "the bundle");
    1
}

fn limits(bytes: &[u8]) -> LinkLimits {
    let field = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    LinkLimits::new(field(0), field(2), field(4)).unwrap()
}

fn shake_hands(mut curve: impl P256, file: &File) -> usize {
    let mut client = file.identity(&mut curve, "client");
    let relay_key = file.pair(&mut curve, "relay_scalar");
    let (ours, theirs) = (
        limits(file.bytes("client_limits")),
        limits(file.bytes("relay_limits")),
    );
    let mut client_rng = Script::new(file.bytes("client_random"));
    let mut relay_rng = Script::new(file.bytes("relay_random"));
    let (mut first, mut second, mut third) =
        ([0; FLIGHT_1_LEN], [0; FLIGHT_2_LEN], [0; FLIGHT_3_LEN]);
    let called = link::Initiator::new(*relay_key.public(), ours)
        .write_message_1(&mut curve, &mut client_rng, &mut first)
        .unwrap();
    let (preamble, message) = first.split_first_chunk().unwrap();
    Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut curve, &relay_key, &message[HEAD_ROOM..])
        .unwrap()
        .write_message_2(&mut curve, &mut relay_rng, theirs, &mut second)
        .unwrap();
    called
        .read_message_2(&mut curve, &second[HEAD_ROOM..])
        .unwrap()
        .write_message_3(&mut curve, &mut client, &mut third)
        .unwrap();
    assert!(first == *file.bytes("client_flight_1"), "flight 1");
    assert!(second == *file.bytes("relay_flight"), "flight 2");
    assert!(third == *file.bytes("client_flight_2"), "flight 3");
    3
}

/// Both parties of a file.
struct World<B> {
    curve: B,
    file: File,
    alice: SoftwareIdentity,
    bob: SoftwareIdentity,
    signed: (u32, KeyPair),
    one_time: Option<(u32, KeyPair)>,
    alice_rng: Script<'static>,
}

impl<B: P256 + Copy> World<B> {
    fn new(mut curve: B, file: File) -> Self {
        let id = |name| file.number(name) as u32;
        Self {
            alice: file.identity(&mut curve, "alice"),
            bob: file.identity(&mut curve, "bob"),
            signed: (
                id("signed_prekey_id"),
                file.pair(&mut curve, "signed_prekey_scalar"),
            ),
            one_time: file.has("one_time_prekey_id").then(|| {
                (
                    id("one_time_prekey_id"),
                    file.pair(&mut curve, "one_time_prekey_scalar"),
                )
            }),
            alice_rng: Script::new(file.bytes("alice_random")),
            curve,
            file,
        }
    }

    #[inline(never)]
    fn start(&mut self) -> Ses {
        let owner = self.bob.public().address();
        let verified = Bundle::parse(self.file.bytes("bundle"))
            .unwrap()
            .verify(&mut self.curve, &owner)
            .unwrap();
        let one_time = self.one_time.as_ref();
        let prekey = one_time.map(|(id, pair)| (*id, *pair.public()));
        let public = *self.alice.public();
        Initiator::new(&public, &verified, self.file.number("largest_body") as u16)
            .unwrap()
            .start(
                &mut self.curve,
                &mut self.alice_rng,
                &mut self.alice,
                prekey,
            )
            .unwrap()
    }

    /// Bob's session, out of the vector's first envelope.
    #[inline(never)]
    fn accept(&mut self, message: &File) -> Ses {
        let copy = message.bytes("envelope");
        let mut envelope = [0; 2048];
        let envelope = &mut envelope[..copy.len()];
        envelope.copy_from_slice(copy);
        let Opening::Start(start) = Envelope::parse(copy).unwrap().opening else {
            panic!("no start")
        };
        let known = Received::new(&mut self.curve, copy, start)
            .unwrap()
            .identify(&mut self.curve, &mut self.bob)
            .unwrap();
        assert_eq!(known.sender(), self.alice.public());
        let signed = (self.signed.0, &self.signed.1);
        let one_time = self.one_time.as_ref().map(|(id, pair)| (*id, pair));
        let accepted = known
            .accept(&mut self.curve, &mut self.bob, signed, one_time)
            .unwrap();
        let (session, opened) = accepted.open(&mut self.curve, envelope).unwrap();
        check(&opened.content, message);
        session
    }

    #[inline(never)]
    fn seal(&mut self, session: &mut Ses, rng: Option<&mut Script<'static>>, message: &File) {
        let expected = message.at("content");
        let content = Content {
            kind: Kind(expected.number("kind") as u8),
            id: MessageId(expected.array("id")),
            body: expected.bytes("body"),
        };
        let mut out = [0; 2048];
        let len = session.sealed_len(content.body.len()).unwrap();
        let rng = rng.unwrap_or(&mut self.alice_rng);
        // Nothing leaves this process, so no evidence is asked for.
        let _sealed = session
            .seal(&mut self.curve, rng, &content, &mut out)
            .unwrap();
        assert!(out[..len] == *message.bytes("envelope"), "the envelope");
    }

    #[inline(never)]
    fn open(&mut self, session: &mut Ses, message: &File) {
        let bytes = message.bytes("envelope");
        let mut envelope = [0; 2048];
        let envelope = &mut envelope[..bytes.len()];
        envelope.copy_from_slice(bytes);
        let opened = session.open(&mut self.curve, envelope).unwrap();
        check(&opened.content, message);
    }

    #[inline(never)]
    fn start_only(mut self) -> usize {
        let mut session = self.start();
        let message = self.file.at("message");
        self.seal(&mut session, None, &message);
        assert!(self.alice_rng.is_used_up(), "less was drawn than is said");
        self.accept(&message);
        1
    }

    /// Eight messages, of which one is opened last.
    #[inline(never)]
    fn talk(mut self) -> usize {
        let file = self.file.clone();
        let mut bob_rng = Script::new(file.bytes("bob_random"));
        let count = file.len("messages", "by");
        let late = file.at("arrivals").number(last(count)) as usize;
        let mut a = self.start();
        let mut b: Option<Ses> = None;
        for number in 0..count {
            let entry = file.item("messages", number);
            let (by_alice, message) = (entry.bytes("by") == b"alice", entry.at("message"));
            match &mut b {
                _ if by_alice => self.seal(&mut a, None, &message),
                Some(b) => self.seal(b, Some(&mut bob_rng), &message),
                None => panic!("Bob has no session"),
            }
            match (by_alice, &mut b) {
                _ if number == late => {}
                (true, Some(b)) => self.open(b, &message),
                (true, None) => b = Some(self.accept(&message)),
                (false, _) => self.open(&mut a, &message),
            }
        }
        assert!(self.alice_rng.is_used_up() && bob_rng.is_used_up());
        let skipped = file.item("messages", late).at("message");
        self.open(&mut b.unwrap(), &skipped);
        count
    }
}

/// The name of the last item of a list of `count`.
fn last(count: usize) -> &'static str {
    const NAMES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
    NAMES[count - 1]
}

#[track_caller]
fn check(content: &Content<'_>, message: &File) {
    let expected = message.at("content");
    assert_eq!(u64::from(content.kind.0), expected.number("kind"));
    assert_eq!(content.id.0, *expected.bytes("id"));
    assert!(content.body == expected.bytes("body"), "the body");
}
