//! A party in Rust, on the core's public interface: the one whom the C program talks to.

use hushwire_core::{
    crypto::{PublicKey, Software},
    evidence,
    handshake::{Initiator, Received},
    identity::{Address, IdentityKeys as _, SoftwareIdentity},
    prekey::Prekeys,
    session::{Content, Kind, OpenError, Session},
    wire::{
        MessageId,
        bundle::{self, Bundle, BundleFields},
        envelope::{Envelope, Opening},
    },
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Somebody with a host's memory: 512 kept keys.
pub(crate) struct Party {
    pub(crate) rng: ChaCha20Rng,
    pub(crate) identity: SoftwareIdentity,
    pub(crate) prekeys: Prekeys<8>,
    session: Option<Session<512>>,
}

impl Party {
    pub(crate) fn new(seed: u8) -> Self {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let identity = SoftwareIdentity::generate(&mut Software, &mut rng).unwrap();
        let mut prekeys = Prekeys::generate(&mut Software, &mut rng, 0).unwrap();
        prekeys.refill(&mut Software, &mut rng).unwrap();
        Self {
            rng,
            identity,
            prekeys,
            session: None,
        }
    }

    pub(crate) fn address(&self) -> Address {
        self.identity.public().address()
    }

    pub(crate) fn bundle(&mut self) -> Vec<u8> {
        let public = *self.identity.public();
        let (id, point) = self.prekeys.signed_prekey();
        let fields = BundleFields {
            identity: &public,
            counter: self.prekeys.counter(),
            max_body: 1024,
            signed_prekey: (id, *point),
        };
        let mut buffer = [0; bundle::MAX_LEN];
        let sign = |digest: &[u8; 32]| self.identity.sign(&mut Software, digest, &[]);
        let len = fields.sign(&mut buffer, sign).unwrap();
        buffer[..len].to_vec()
    }

    /// One of the one-time prekeys on offer, id and point.
    pub(crate) fn one_time_prekey(&self) -> Vec<u8> {
        let mut list = [0; Prekeys::<8>::LIST_LEN];
        self.prekeys.list(&mut Software, &mut list).unwrap();
        list[..37].to_vec()
    }

    /// Starts a session out of a peer's bundle and one of its one-time prekeys.
    pub(crate) fn start(&mut self, peer: &Address, bundle: &[u8], one_time: Option<&[u8]>) {
        let verified = Bundle::parse(bundle)
            .unwrap()
            .verify(&mut Software, peer)
            .unwrap();
        let one_time = one_time.map(|bytes| {
            let id = u32::from_be_bytes(bytes[..4].try_into().unwrap());
            let point = bytes[4..].try_into().unwrap();
            (id, PublicKey::parse(&mut Software, point).unwrap())
        });
        let own = *self.identity.public();
        let started = Initiator::new(&own, &verified, 1024).unwrap().start(
            &mut Software,
            &mut self.rng,
            &mut self.identity,
            one_time,
        );
        self.session = Some(started.unwrap());
    }

    pub(crate) fn seal(&mut self, body: &[u8]) -> Vec<u8> {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let content = Content {
            kind: Kind::DATA,
            id: MessageId(id),
            body,
        };
        let mut out = [0; 2048];
        let session = self.session.as_mut().unwrap();
        let sealed = session
            .seal(&mut Software, &mut self.rng, &content, &mut out)
            .unwrap();
        let store = |_: &mut ()| Ok::<(), ()>(());
        evidence::after(&mut (), store, |(), stored| sealed.release(stored).to_vec()).unwrap()
    }

    /// Opens an envelope with the session, or with the start that it carries.
    pub(crate) fn open(&mut self, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut bytes = envelope.to_vec();
        if let Some(session) = &mut self.session {
            let opened = session.open(&mut Software, &mut bytes)?;
            return Ok(opened.content.body.to_vec());
        }
        let Opening::Start(start) = Envelope::parse(envelope).unwrap().opening else {
            return Err(OpenError::Unopenable);
        };
        let (signed, one_time) = (start.signed_prekey_id, start.one_time_prekey_id);
        let pair = one_time.map(|id| {
            let pair = self.prekeys.one_time(&mut Software, id).unwrap();
            (id, pair.expect("unspent"))
        });
        let signed = (signed, self.prekeys.signed(signed).expect("alive"));
        let (session, opened) = Received::new(&mut Software, envelope, start)?
            .identify(&mut Software, &mut self.identity)?
            .accept(
                &mut Software,
                &mut self.identity,
                signed,
                pair.as_ref().map(|(id, pair)| (*id, pair)),
            )?
            .open(&mut Software, &mut bytes)?;
        self.session = Some(session);
        if let Some(id) = one_time {
            self.prekeys.spend(id);
        }
        Ok(opened.content.body.to_vec())
    }
}
