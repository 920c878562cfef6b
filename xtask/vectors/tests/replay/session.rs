//! PROTOCOL 5, 6, 8: starts, a conversation, and a record of it.

use hushwire_core::{
    crypto::{KeyPair, Software},
    evidence,
    handshake::{Initiator, Received},
    identity::{IdentityKeys as _, SoftwareIdentity},
    session::{Content, Kind, OpenError, Position, Session},
    snapshot::{self, StorageKey},
    wire::{
        MessageId,
        bundle::Bundle,
        envelope::{Envelope, Opening},
    },
};

use crate::support::{Script, Vector, read, same};

type Ses = Session<32>;

/// Both parties of a file.
struct World<'a> {
    file: &'a Vector<'a>,
    alice: SoftwareIdentity,
    bob: SoftwareIdentity,
    signed: (u32, KeyPair),
    one_time: Option<(u32, KeyPair)>,
    alice_rng: Script,
}

impl<'a> World<'a> {
    fn new(file: &'a Vector<'a>) -> Self {
        let id = |name| file.number(name) as u32;
        let one_time = file.has("one_time_prekey_id");
        Self {
            file,
            alice: file.identity("alice"),
            bob: file.identity("bob"),
            signed: (id("signed_prekey_id"), file.pair("signed_prekey_scalar")),
            one_time: one_time.then(|| {
                (
                    id("one_time_prekey_id"),
                    file.pair("one_time_prekey_scalar"),
                )
            }),
            alice_rng: Script::new(file.bytes("alice_random")),
        }
    }

    fn start(&mut self) -> Ses {
        let (bundle, public) = (self.file.bytes("bundle"), *self.alice.public());
        let verified = Bundle::parse(&bundle)
            .unwrap()
            .verify(&mut Software, &self.bob.public().address())
            .unwrap();
        let max_body = self.file.number("largest_body") as u16;
        let prekey = self
            .one_time
            .as_ref()
            .map(|(id, pair)| (*id, *pair.public()));
        let mut session = Initiator::new(&public, &verified, max_body)
            .unwrap()
            .start(&mut Software, &mut self.alice_rng, &mut self.alice, prekey)
            .unwrap();
        same_tag(&mut session, self.file);
        session
    }

    /// Bob's session, out of the vector's first envelope.
    fn accept(&mut self, message: &Vector<'_>) -> Ses {
        let mut envelope = message.bytes("envelope");
        let copy = envelope.clone();
        let Opening::Start(start) = Envelope::parse(&copy).unwrap().opening else {
            panic!("no start")
        };
        let known = Received::new(&mut Software, &copy, start)
            .unwrap()
            .identify(&mut Software, &mut self.bob)
            .unwrap();
        assert_eq!(known.sender(), self.alice.public());
        let signed = (self.signed.0, &self.signed.1);
        let one_time = self.one_time.as_ref().map(|(id, pair)| (*id, pair));
        let accepted = known
            .accept(&mut Software, &mut self.bob, signed, one_time)
            .unwrap();
        let (mut session, opened) = accepted.open(&mut Software, &mut envelope).unwrap();
        check(&opened.content, message);
        same_tag(&mut session, self.file);
        session
    }
}

/// The core shows a start's tag only in a snapshot.
fn same_tag(session: &mut Ses, file: &Vector<'_>) {
    let tag = file.at("agreement").bytes("start_tag");
    same("start_tag", &snapshot(session)[18..26], &tag);
}

#[track_caller]
fn check(content: &Content<'_>, message: &Vector<'_>) {
    let expected = message.at("content");
    assert_eq!(u64::from(content.kind.0), expected.number("kind"));
    assert_eq!(content.id.0.to_vec(), expected.bytes("id"));
    same("body", content.body, &expected.bytes("body"));
}

/// The core's envelope of a message is the vector's; storage is told where it has to be.
fn seal(session: &mut Ses, rng: &mut Script, message: &Vector<'_>) {
    let expected = message.at("content");
    let body = expected.bytes("body");
    let content = Content {
        kind: Kind(expected.number("kind") as u8),
        id: MessageId(expected.array("id")),
        body: &body,
    };
    let mut out = [0; 2048];
    let sealed = session
        .seal(&mut Software, rng, &content, &mut out)
        .unwrap();
    match sealed.release_covered() {
        Ok(envelope) => same("envelope", envelope, &message.bytes("envelope")),
        Err(sealed) => {
            let mut record = vec![0; Ses::MAX_ENCODED];
            let stored = |_: &mut Vec<u8>| Ok::<(), ()>(());
            evidence::after(&mut record, stored, |record, persisted| {
                same(
                    "envelope",
                    sealed.release(persisted),
                    &message.bytes("envelope"),
                );
                session.encode(Position::Reserved, record).unwrap();
                session.stored(persisted);
            })
            .unwrap();
        }
    }
}

fn open(session: &mut Ses, message: &Vector<'_>) {
    let mut envelope = message.bytes("envelope");
    let opened = session.open(&mut Software, &mut envelope).unwrap();
    check(&opened.content, message);
}

fn snapshot(session: &mut Ses) -> Vec<u8> {
    let mut record = vec![0; Ses::MAX_ENCODED];
    let len = session.encode(Position::Reserved, &mut record).unwrap();
    record.truncate(len);
    record
}

fn start(name: &str) {
    let file = read(name);
    let mut world = World::new(&file);
    let mut session = world.start();
    let message = file.at("message");
    seal(&mut session, &mut world.alice_rng, &message);
    assert!(
        world.alice_rng.is_used_up(),
        "less was drawn than the protocol says"
    );
    world.accept(&message);
}

#[test]
fn a_start_with_one_time_prekey() {
    start("start.json");
}

#[test]
fn a_start_without() {
    start("start-without.json");
}

/// Alice seals first, then both open in the order of arrival; Bob's seals wait for what he opened.
/// Returns his session as it was before the skipped message came.
fn talk(file: &Vector<'_>) -> Vec<u8> {
    let mut world = World::new(file);
    let mut bob_rng = Script::new(file.bytes("bob_random"));
    let messages = file.list("messages");
    let arrivals: Vec<_> = file
        .list("arrivals")
        .iter()
        .map(Vector::as_number)
        .collect();
    let (&late, in_order) = arrivals.split_last().unwrap();
    assert!(in_order.is_sorted() && late < messages.len() - 1);

    let mut a = world.start();
    let mut b: Option<Ses> = None;
    for (number, entry) in messages.iter().enumerate() {
        let (by_alice, message) = (entry.text("by") == "alice", entry.at("message"));
        match by_alice {
            true => seal(&mut a, &mut world.alice_rng, &message),
            false => seal(b.as_mut().unwrap(), &mut bob_rng, &message),
        }
        match (by_alice, &mut b) {
            _ if number == late => {}
            (true, Some(b)) => open(b, &message),
            (true, None) => b = Some(world.accept(&message)),
            (false, _) => open(&mut a, &message),
        }
    }
    assert!(world.alice_rng.is_used_up() && bob_rng.is_used_up());
    let mut b = b.unwrap();
    assert!(a.is_confirmed() && b.is_confirmed());
    let before = snapshot(&mut b);
    let skipped = messages[late].at("message");
    open(&mut b, &skipped);
    let repeat = b
        .open(&mut Software, &mut skipped.bytes("envelope"))
        .map(|_| ());
    assert_eq!(repeat, Err(OpenError::Unopenable), "a key is used once");
    before
}

#[test]
fn eight_messages_of_which_one_comes_last() {
    talk(&read("conversation.json"));
}

#[test]
fn a_session_at_rest() {
    let (file, talked) = (read("record.json"), read("conversation.json"));
    let contents = file.bytes("contents");
    same("snapshot", &talk(&talked), &contents);

    let key = StorageKey::from_bytes(file.array("storage_key"));
    let (slot, epoch) = (file.bytes("slot"), file.number("epoch"));
    let mut rng = Script::new(file.bytes("random"));
    let mut record = vec![0; contents.len() + snapshot::OVERHEAD];
    record[snapshot::HEADROOM..][..contents.len()].copy_from_slice(&contents);
    key.seal(&mut rng, &slot, epoch, &mut record).unwrap();
    same("record", &record, &file.bytes("record"));

    let mut record = file.bytes("record");
    let opened = key.open(&slot, epoch, &mut record).unwrap();
    same("contents", opened, &contents);
    // What was read back goes on: it has the key of the skipped message.
    let mut session = Ses::decode(opened).unwrap();
    open(&mut session, &talked.list("messages")[1].at("message"));
}
