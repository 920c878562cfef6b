//! Our side: the core as the host's client drives it, with room for 512 skipped keys.
//!
//! Wherever the core demands that state be stored before bytes leave, the state is encoded as it
//! would be stored. Neither side of the bench writes to a disk.

use std::cell::{Cell, RefCell};
use std::hint::black_box;

use hushwire_core::crypto::{KeyPair, PublicKey, Software};
use hushwire_core::evidence::after;
use hushwire_core::handshake::{Initiator, Received};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::limits::{HOST_MAX_SKIP, MAX_BODY};
use hushwire_core::session::{Content, Kind, Position, Session, StateError};
use hushwire_core::wire::MessageId;
use hushwire_core::wire::bundle::{Bundle, BundleFields, MAX_LEN};
use hushwire_core::wire::envelope::{Envelope, Opening};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::subject::Subject;

type HostSession = Session<HOST_MAX_SKIP>;

const BODY: [u8; 16] = [7; 16];
const SIGNED_PREKEY: u32 = 1;
const ONE_TIME_PREKEY: u32 = 2;

/// Two sessions of one conversation.
pub(crate) struct Hush {
    first: Party,
    second: Party,
}

/// A session with the randomness and the record buffer of its owner.
struct Party {
    session: HostSession,
    rng: ChaCha20Rng,
    record: Vec<u8>,
}

/// Somebody who published a bundle.
pub(crate) struct Recipient {
    identity: SoftwareIdentity,
    signed: KeyPair,
    one_time: KeyPair,
}

/// A signed bundle and a one-time prekey, as a relay hands them out.
pub(crate) struct Published {
    owner: Address,
    bundle: Vec<u8>,
    one_time: PublicKey,
}

impl Subject for Hush {
    type Sealed = Vec<u8>;
    type Offer = Published;
    type Recipient = Recipient;

    fn conversation() -> Self {
        let (mut recipient, published) = Self::publish();
        let mut first = Party::new(start(&published));
        let opening = first.seal(&BODY);
        let second = Party::new(accept(&mut recipient, opening));
        let mut conversation = Self { first, second };
        conversation.answer(&BODY);
        conversation
    }

    fn publish() -> (Recipient, Published) {
        let mut rng = rng();
        let mut identity = identity();
        let mut pair = || KeyPair::generate(&mut Software, &mut rng).expect("a pair");
        let (signed, one_time) = (pair(), pair());
        let public = *identity.public();
        let fields = BundleFields {
            identity: &public,
            counter: 1,
            max_body: MAX_BODY as u16,
            signed_prekey: (SIGNED_PREKEY, *signed.public()),
        };
        let mut bundle = vec![0; MAX_LEN];
        let len = fields
            .sign(&mut bundle, |digest| {
                identity.sign(&mut Software, digest, &[])
            })
            .expect("a bundle");
        bundle.truncate(len);
        let published = Published {
            owner: public.address(),
            bundle,
            one_time: *one_time.public(),
        };
        (
            Recipient {
                identity,
                signed,
                one_time,
            },
            published,
        )
    }

    fn initiate(offer: &Published) -> Vec<u8> {
        Party::new(start(offer)).seal(&BODY)
    }

    fn accept(recipient: &mut Recipient, first: Vec<u8>) {
        black_box(accept(recipient, first));
    }

    fn seal(&mut self, body: &[u8]) -> Vec<u8> {
        self.first.seal(body)
    }

    fn open(&mut self, sealed: Vec<u8>, body: &[u8]) {
        self.second.open(sealed, body);
    }

    fn answer(&mut self, body: &[u8]) {
        let answer = self.second.seal(body);
        self.first.open(answer, body);
    }
}

impl Party {
    fn new(session: HostSession) -> Self {
        Self {
            session,
            rng: rng(),
            record: vec![0; HostSession::MAX_ENCODED],
        }
    }

    fn seal(&mut self, body: &[u8]) -> Vec<u8> {
        let Self {
            session,
            rng,
            record,
        } = self;
        let content = Content {
            kind: Kind::DATA,
            id: MessageId([9; 16]),
            body,
        };
        let mut out = vec![0; session.sealed_len(body.len()).expect("the body fits")];
        let sealed = session
            .seal(&mut Software, rng, &content, &mut out)
            .expect("seals");
        if let Err(sealed) = sealed.release_covered() {
            let store = |session: &mut HostSession| -> Result<(), StateError> {
                black_box(session.encode(Position::Reserved, record)?);
                Ok(())
            };
            after(session, store, |session, evidence| {
                session.stored(evidence);
                black_box(sealed.release(evidence));
            })
            .expect("encodes");
        }
        out
    }

    fn open(&mut self, mut sealed: Vec<u8>, body: &[u8]) {
        let opened = self
            .session
            .open(&mut Software, &mut sealed)
            .expect("opens");
        assert_eq!(opened.content.body, body);
    }
}

/// Verifies the bundle's signature, then agrees.
fn start(offer: &Published) -> HostSession {
    let bundle = Bundle::parse(&offer.bundle).expect("a bundle");
    let verified = bundle
        .verify(&mut Software, &offer.owner)
        .expect("the signature is good");
    let one_time = Some((ONE_TIME_PREKEY, offer.one_time));
    // The sender's identity exists long before; making it is no part of a start.
    thread_local!(static SENDER: RefCell<SoftwareIdentity> = RefCell::new(identity()));
    SENDER.with_borrow_mut(|sender| {
        let own = *sender.public();
        Initiator::new(&own, &verified, MAX_BODY as u16)
            .and_then(|ready| ready.start(&mut Software, &mut rng(), sender, one_time))
            .expect("the keys are good")
    })
}

/// Learns the sender, agrees, and opens the first message.
fn accept(recipient: &mut Recipient, mut first: Vec<u8>) -> HostSession {
    let Recipient {
        identity,
        signed,
        one_time,
    } = recipient;
    let envelope = Envelope::parse(&first).expect("an envelope");
    let Opening::Start(start) = envelope.opening else {
        panic!("a start was expected")
    };
    let accepted = Received::new(&mut Software, &first, start)
        .and_then(|received| received.identify(&mut Software, identity))
        .and_then(|sender| {
            let signed = (SIGNED_PREKEY, &*signed);
            sender.accept(
                &mut Software,
                identity,
                signed,
                Some((ONE_TIME_PREKEY, &*one_time)),
            )
        })
        .expect("the start is good");
    let (session, opened) = accepted.open(&mut Software, &mut first).expect("opens");
    assert_eq!(opened.content.body, BODY);
    session
}

fn identity() -> SoftwareIdentity {
    SoftwareIdentity::generate(&mut Software, &mut rng()).expect("an identity")
}

/// A generator of our own for each party, seeded so that every run does the same work.
fn rng() -> ChaCha20Rng {
    thread_local!(static NEXT: Cell<u64> = const { Cell::new(1) });
    ChaCha20Rng::seed_from_u64(NEXT.replace(NEXT.get() + 1))
}
