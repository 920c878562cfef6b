//! PROTOCOL 5.1 to 5.4: the agreement, with and without one-time prekey.

use crate::{
    bundle::{LARGEST_BODY, Published},
    identity::Identity,
    json::Object,
    primitives::{Pair, hkdf, join, seal, sha256},
    ratchet::{Content, Message, Session, Way},
    script::Script,
};

/// What a start gave, secrets included.
pub(crate) struct Start {
    pub(crate) opening: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    pub(crate) one_time: Option<u32>,
    root: Vec<u8>,
    header_a: Vec<u8>,
    header_b: Vec<u8>,
    id: Vec<u8>,
    json: Object,
}

impl Start {
    /// A fetches what B has published, and agrees.
    pub(crate) fn new(a: &Identity, b: &Published, with: bool, script: &mut Script) -> Self {
        let ek = script.pair();
        let (signed_id, signed) = &b.signed;
        let one_time = b.one_time.first().filter(|_| with);
        let dh1 = a.agreement.agree(&signed.point);
        let dh2 = ek.agree(&b.owner.agreement.point);
        let dh3 = ek.agree(&signed.point);
        let dh4 = one_time.map(|(_, pair)| ek.agree(&pair.point));

        let one_time_id = one_time.map_or(0, |(id, _)| *id);
        let clear = join(&[
            &[0x01, 0x01, if with { 0x02 } else { 0x03 }],
            &ek.point,
            &signed_id.to_be_bytes(),
            &one_time_id.to_be_bytes(),
        ]);
        let sender = join(&[&a.public(), &LARGEST_BODY.to_be_bytes()]);
        let sender_key = hkdf(b"", &dh2, &join(&[b"hushwire v1 sender", &clear]), 44);
        let sealed = seal(&sender_key[..32], &sender_key[32..], &clear, &sender);
        let opening = join(&[&clear, &sealed]);

        let point = one_time.map_or(vec![0; 33], |(_, pair)| pair.point.clone());
        let transcript = sha256(&join(&[
            b"hushwire v1 transcript",
            &[0x01, 0x01],
            &a.public(),
            &b.owner.public(),
            &ek.point,
            &signed_id.to_be_bytes(),
            &signed.point,
            &[u8::from(with)],
            &one_time_id.to_be_bytes(),
            &point,
            &LARGEST_BODY.to_be_bytes(),
        ]));
        let dh4 = dh4.map_or(Vec::new(), |dh| dh.to_vec());
        let input = join(&[&[0xff; 32], &dh1, &dh2, &dh3, &dh4]);
        let info = join(&[b"hushwire v1 session", &transcript]);
        let keys = hkdf(b"", &input, &info, 112);
        let part = |from: usize, to: usize| keys[from..to].to_vec();
        let tag = sha256(&join(&[b"hushwire v1 start", &ek.point]))[..8].to_vec();

        let mut json = Object::new()
            .hex("EK_scalar", ek.scalar)
            .hex("EK", &ek.point)
            .hex("dh1", dh1)
            .hex("dh2", dh2)
            .hex("dh3", dh3);
        if with {
            json = json.hex("dh4", dh4);
        }
        let json = json
            .hex("clear", &clear)
            .hex("sender_key", &sender_key[..32])
            .hex("sender_nonce", &sender_key[32..])
            .hex("sender", &sender)
            .hex("opening", &opening)
            .hex("transcript", transcript)
            .hex("input", &input)
            .hex("root", part(0, 32))
            .hex("HK_A", part(32, 64))
            .hex("HK_B", part(64, 96))
            .hex("session_id", part(96, 112))
            .hex("start_tag", &tag);
        Self {
            opening,
            tag,
            one_time: one_time.map(|(id, _)| *id),
            root: part(0, 32),
            header_a: part(32, 64),
            header_b: part(64, 96),
            id: part(96, 112),
            json,
        }
    }

    /// A's session. PROTOCOL 5.4
    pub(crate) fn initiator(&self, signed: &Pair, script: &mut Script) -> Session {
        let mut session = self.session(Way::FromInitiator, signed);
        session.opening = Some(self.opening.clone());
        session.next_sending_header = self.header_a.clone();
        session.next_receiving_header = self.header_b.clone();
        session.step_to_send(script);
        session
    }

    /// B's session, before its first message.
    pub(crate) fn responder(&self, signed: &Pair) -> Session {
        let mut session = self.session(Way::FromResponder, signed);
        session.one_time = self.one_time;
        session.next_sending_header = self.header_b.clone();
        session.next_receiving_header = self.header_a.clone();
        session
    }

    fn session(&self, way: Way, signed: &Pair) -> Session {
        Session::new(way, &self.id, &self.tag, &self.root, &signed.point)
    }

    /// Every secret.
    pub(crate) fn json(&self) -> Object {
        self.json.clone()
    }
}

pub(crate) fn file(with: bool) -> String {
    let (alice, published) = (Identity::alice(), Published::bobs());
    let name = if with { "start" } else { "start without" };
    let mut script = Script::new(name);
    let start = Start::new(&alice, &published, with, &mut script);
    let mut a = start.initiator(&published.signed.1, &mut script);
    let first_step = a.last_step();
    let hello = Content::new(0x01, 0xa1, b"Hello, Bob.");
    let Message { json, envelope } = a.seal(&hello, &mut script);

    let mut b = start.responder(&published.signed.1);
    let opened = b.open(&envelope, Some(&published.signed.1)).unwrap();
    assert_eq!(opened, hello.padded());
    let about = match with {
        true => "A session's start with a one-time prekey, up to the first envelope. PROTOCOL 5, 6",
        false => {
            "A session's start without a one-time prekey, up to the first envelope. PROTOCOL 5, 6"
        }
    };
    let (signed_id, signed) = &published.signed;
    let mut file = Object::new()
        .with("about", about)
        .with("alice", alice.json())
        .with("bob", published.owner.json())
        .hex("bundle", published.bundle())
        .with("signed_prekey_id", u64::from(*signed_id))
        .hex("signed_prekey_scalar", signed.scalar);
    if let Some((id, pair)) = published.one_time.first().filter(|_| with) {
        file.put("one_time_prekey_id", u64::from(*id));
        file.put("one_time_prekey_scalar", hex::encode(pair.scalar));
    }
    file.with("largest_body", u64::from(LARGEST_BODY))
        .hex("alice_random", script.drawn())
        .with("agreement", start.json())
        .with("first_step", first_step)
        .with("message", json)
        .file()
}
