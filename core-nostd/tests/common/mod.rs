//! Two devices with a session between them, and a generator that anyone can seed again.
#![allow(unreachable_pub, reason = "a module of several test binaries")]
#![allow(
    dead_code,
    reason = "each test file uses the part of the harness that it needs"
)]

pub mod device;
pub mod lab;
pub mod node;
pub mod store;
pub mod world;

use hushwire_core::{
    crypto::{KeyPair, Software},
    evidence,
    handshake::{Initiator, Received},
    identity::{IdentityKeys as _, IdentityPublic, SoftwareIdentity},
    session::{Content, Kind, Position, Session},
    wire::{
        MessageId,
        bundle::{self, Bundle, BundleFields, PrekeyVerified},
        envelope::{Envelope, Opening},
    },
};
pub use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

pub use store::SKIP;
pub type Ses = Session<SKIP>;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn identity(seed: u8) -> SoftwareIdentity {
    SoftwareIdentity::from_seed(&mut Software, &[seed; 32]).unwrap()
}

/// A party with a signed prekey and one one-time prekey.
pub struct Party {
    pub identity: SoftwareIdentity,
    pub public: IdentityPublic,
    pub signed: KeyPair,
    pub one_time: KeyPair,
    pub rng: ChaCha20Rng,
}

pub const SIGNED_ID: u32 = 5;
pub const ONE_TIME_ID: u32 = 9;

impl Party {
    pub fn new(seed: u8) -> Self {
        let mut rng = rng(u64::from(seed));
        let identity = identity(seed);
        let public = *identity.public();
        let signed = KeyPair::generate(&mut Software, &mut rng).unwrap();
        let one_time = KeyPair::generate(&mut Software, &mut rng).unwrap();
        Self {
            identity,
            public,
            signed,
            one_time,
            rng,
        }
    }

    pub fn bundle(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; bundle::MAX_LEN];
        let fields = BundleFields {
            identity: &self.public,
            counter: 1,
            max_body: 1024,
            signed_prekey: (SIGNED_ID, *self.signed.public()),
        };
        let identity = &mut self.identity;
        let len = fields
            .sign(&mut buffer, |digest| {
                identity.sign(&mut Software, digest, &[])
            })
            .unwrap();
        buffer.truncate(len);
        buffer
    }

    pub fn verified(&mut self) -> PrekeyVerified {
        let bundle = self.bundle();
        Bundle::parse(&bundle)
            .unwrap()
            .verify(&mut Software, &self.public.address())
            .unwrap()
    }

    pub fn start(&mut self, peer: &mut Party, with_one_time: bool) -> Ses {
        let bundle = peer.verified();
        let prekey = with_one_time.then(|| (ONE_TIME_ID, *peer.one_time.public()));
        Initiator::new(&self.public, &bundle, 1024)
            .unwrap()
            .start(&mut Software, &mut self.rng, &mut self.identity, prekey)
            .unwrap()
    }

    pub fn respond(&mut self, envelope: &[u8]) -> Option<(Ses, IdentityPublic, Vec<u8>)> {
        let mut bytes = envelope.to_vec();
        let Opening::Start(start) = Envelope::parse(envelope).ok()?.opening else {
            return None;
        };
        let one_time = start
            .one_time_prekey_id
            .map(|_| (ONE_TIME_ID, &self.one_time));
        let known = Received::new(&mut Software, envelope, start)
            .ok()?
            .identify(&mut Software, &mut self.identity)
            .ok()?;
        let sender = *known.sender();
        let accepted = known
            .accept(
                &mut Software,
                &mut self.identity,
                (SIGNED_ID, &self.signed),
                one_time,
            )
            .ok()?;
        let (session, opened) = accepted.open(&mut Software, &mut bytes).ok()?;
        let body = opened.content.body.to_vec();
        Some((session, sender, body))
    }
}

pub fn seal(session: &mut Ses, rng: &mut ChaCha20Rng, body: &[u8]) -> Vec<u8> {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let mut out = vec![0; 2048];
    let content = Content {
        kind: Kind::DATA,
        id: MessageId(id),
        body,
    };
    let sealed = session
        .seal(&mut Software, rng, &content, &mut out)
        .unwrap();
    match sealed.release_covered() {
        Ok(bytes) => bytes.to_vec(),
        Err(sealed) => {
            let bytes = evidence::after(
                &mut (),
                |()| Ok::<(), ()>(()),
                |(), p| sealed.release(p).to_vec(),
            )
            .unwrap();
            store(session);
            bytes
        }
    }
}

pub fn open(session: &mut Ses, envelope: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = envelope.to_vec();
    session
        .open(&mut Software, &mut bytes)
        .ok()
        .map(|opened| opened.content.body.to_vec())
}

/// Writes a snapshot and says so.
pub fn store(session: &mut Ses) -> Vec<u8> {
    let record = encode(session);
    evidence::after(&mut (), |()| Ok::<(), ()>(()), |(), p| session.stored(p)).unwrap();
    record
}

pub fn encode(session: &mut Ses) -> Vec<u8> {
    let mut record = vec![0; Ses::MAX_ENCODED];
    let len = session.encode(Position::Reserved, &mut record).unwrap();
    record.truncate(len);
    record
}

pub fn reload(record: &[u8]) -> Ses {
    Ses::decode(record).unwrap()
}

/// Alice and Bob with a session in which each has sent and received.
pub fn pair(seed: u8) -> (Party, Party, Ses, Ses) {
    let (mut alice, mut bob) = (Party::new(seed), Party::new(seed.wrapping_add(1)));
    let mut a = alice.start(&mut bob, true);
    let hello = seal(&mut a, &mut alice.rng, b"hello");
    let (mut b, _, body) = bob.respond(&hello).unwrap();
    assert_eq!(body, b"hello");
    let answer = seal(&mut b, &mut bob.rng, b"hello yourself");
    assert_eq!(open(&mut a, &answer).unwrap(), b"hello yourself");
    (alice, bob, a, b)
}
