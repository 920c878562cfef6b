//! Both ends of a link in memory, from fixed keys: every run gives the same bytes.
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::convert::Infallible;

use hushwire_core::{
    crypto::{KeyPair, P256 as _, SecretKey, Software},
    identity::{IdentityPublic, SoftwareIdentity},
    link::{
        FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, HandshakeError, Initiator, LinkLimits,
        PREAMBLE, PREAMBLE_LEN, Responder, SentMessage1, SentMessage2, Transport,
    },
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use rand_core::{TryCryptoRng, TryRng};

/// What is drawn is what was put in: fixes an ephemeral key.
pub(crate) struct Fixed(pub(crate) [u8; 32]);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("keys are drawn as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// Everything that decides a handshake's bytes.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) relay: [u8; 32],
    pub(crate) client_seed: [u8; 32],
    pub(crate) client_ephemeral: [u8; 32],
    pub(crate) relay_ephemeral: [u8; 32],
    pub(crate) client_limits: LinkLimits,
    pub(crate) relay_limits: LinkLimits,
}

pub(crate) fn limits(max_record: u16, max_frame: u16, window: u16) -> LinkLimits {
    LinkLimits::new(max_record, max_frame, window).expect("sensible limits")
}

pub(crate) fn pair(scalar: &[u8; 32]) -> KeyPair {
    let secret = SecretKey::from_bytes(&mut Software, scalar).expect("a scalar");
    KeyPair::from_secret(&mut Software, secret).expect("software does not fail")
}

/// The 65-byte point of a scalar.
pub(crate) fn point(scalar: &[u8; 32]) -> [u8; 65] {
    Software.expand(pair(scalar).public()).expect("a point")
}

impl World {
    /// Grows all keys from a number.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = || {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        Self {
            relay: draw(),
            client_seed: draw(),
            client_ephemeral: draw(),
            relay_ephemeral: draw(),
            client_limits: limits(1400, 1382, 1),
            relay_limits: limits(17_500, 17_400, 64),
        }
    }

    pub(crate) fn client(&self) -> SoftwareIdentity {
        SoftwareIdentity::from_seed(&mut Software, &self.client_seed).expect("an identity")
    }

    /// The client writes message 1 to the relay whose key it pins.
    pub(crate) fn hello(&self, pinned: &[u8; 32]) -> (SentMessage1, [u8; FLIGHT_1_LEN]) {
        let mut out = [0; FLIGHT_1_LEN];
        let state = Initiator::new(*pair(pinned).public(), self.client_limits)
            .write_message_1(&mut Software, &mut Fixed(self.client_ephemeral), &mut out)
            .expect("the pinned key is good");
        (state, out)
    }

    /// The relay reads message 1 (without its length) and answers.
    pub(crate) fn answer(
        &self,
        message: &[u8],
    ) -> Result<(SentMessage2, [u8; FLIGHT_2_LEN]), HandshakeError> {
        let mut out = [0; FLIGHT_2_LEN];
        let state = Responder::greet(&PREAMBLE)
            .expect("our own preamble")
            .read_message_1(&mut Software, &pair(&self.relay), message)?
            .write_message_2(
                &mut Software,
                &mut Fixed(self.relay_ephemeral),
                self.relay_limits,
                &mut out,
            )
            .expect("software does not fail");
        Ok((state, out))
    }

    /// The client reads message 2 (without its length) and ends.
    pub(crate) fn login(
        &self,
        state: SentMessage1,
        message: &[u8],
    ) -> Result<(Transport, [u8; FLIGHT_3_LEN]), HandshakeError> {
        let mut out = [0; FLIGHT_3_LEN];
        let transport = state
            .read_message_2(&mut Software, message)?
            .write_message_3(&mut Software, &mut self.client(), &mut out)?;
        Ok((transport, out))
    }

    /// The whole handshake: the client's end, the relay's end, who the client is, and all bytes.
    pub(crate) fn connect(&self) -> (Transport, Transport, IdentityPublic, Flights) {
        let (client, first) = self.hello(&self.relay);
        let (relay, second) = self.answer(&first[PREAMBLE_LEN + HEAD_ROOM..]).unwrap();
        let (client, third) = self.login(client, &second[HEAD_ROOM..]).unwrap();
        let (relay, who) = relay
            .read_message_3(&mut Software, &third[HEAD_ROOM..])
            .unwrap();
        (client, relay, who, (first, second, third))
    }
}

/// The bytes of a whole handshake as they go over TCP.
pub(crate) type Flights = ([u8; FLIGHT_1_LEN], [u8; FLIGHT_2_LEN], [u8; FLIGHT_3_LEN]);

/// A record with its length in front.
pub(crate) fn seal(sealer: &mut hushwire_core::link::Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEAD_ROOM + plaintext.len() + hushwire_core::link::TAIL_ROOM];
    record[HEAD_ROOM..][..plaintext.len()].copy_from_slice(plaintext);
    let len = sealer.seal(&mut record, plaintext.len()).expect("sealed");
    assert_eq!(len, record.len());
    record
}
