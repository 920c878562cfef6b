//! The client's side of the handshake, one type for each step. PROTOCOL 3.2

use rand_core::CryptoRng;

use super::{
    FLIGHT_1_LEN, FLIGHT_3_LEN, HandshakeError, LinkLimits, MESSAGE_1_LEN, MESSAGE_3_LEN,
    PAYLOAD_3_LEN, POINT_LEN, PREAMBLE, prefix, symmetric::SymmetricState, transport::Transport,
};
use crate::{
    crypto::{KeyPair, P256, PublicKey},
    identity::IdentityKeys,
    wire::{Reader, Writer},
};

/// A client about to call its relay.
#[derive(Debug)]
pub struct Initiator {
    relay: PublicKey,
    limits: LinkLimits,
}

/// Message 1 is written; the relay's answer is awaited.
#[derive(Debug)]
pub struct SentMessage1 {
    symmetric: SymmetricState,
    ephemeral: KeyPair,
    relay: PublicKey,
    limits: LinkLimits,
}

/// The relay proved that it holds the pinned key, and stated its limits.
#[derive(Debug)]
pub struct ReceivedMessage2 {
    symmetric: SymmetricState,
    relay: PublicKey,
    relay_ephemeral: PublicKey,
    limits: LinkLimits,
    relay_limits: LinkLimits,
}

impl Initiator {
    /// `relay` is the pinned key, out of the relay's URL; `limits` are this side's own.
    #[must_use]
    pub const fn new(relay: PublicKey, limits: LinkLimits) -> Self {
        Self { relay, limits }
    }

    /// Writes the preamble and `e, es` with its length in front. Noise 7.5
    ///
    /// # Errors
    /// [`HandshakeError::Backend`], or [`HandshakeError::InvalidKey`] where the pinned key is bad.
    pub fn write_message_1(
        self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        out: &mut [u8; FLIGHT_1_LEN],
    ) -> Result<SentMessage1, HandshakeError> {
        let Self { relay, limits } = self;
        let ephemeral = KeyPair::generate(p256, rng)?;
        let es = p256.agree(ephemeral.secret(), &relay)?;
        let point = p256.expand(ephemeral.public())?;
        let mut symmetric = SymmetricState::begin(&p256.expand(&relay)?, &point, &es);
        let tag = symmetric.encrypt_and_hash(&mut []);

        let mut w = Writer::new(out);
        w.put(&PREAMBLE)?;
        w.put(&prefix(MESSAGE_1_LEN))?;
        w.put(&point)?;
        w.put(&tag)?;
        Ok(SentMessage1 {
            symmetric,
            ephemeral,
            relay,
            limits,
        })
    }
}

impl SentMessage1 {
    /// Reads `e, ee` and the relay's limits.
    ///
    /// # Errors
    /// [`HandshakeError`]: the connection ends.
    pub fn read_message_2(
        self,
        p256: &mut impl P256,
        message: &[u8],
    ) -> Result<ReceivedMessage2, HandshakeError> {
        let Self {
            mut symmetric,
            ephemeral,
            relay,
            limits,
        } = self;
        let mut r = Reader::new(message);
        let (point, sealed, tag) = (r.array::<POINT_LEN>()?, r.array()?, r.array()?);
        r.finish()?;

        let relay_ephemeral = p256.compress(point)?;
        if relay_ephemeral == *ephemeral.public() {
            return Err(HandshakeError::OwnKey);
        }
        symmetric.mix_hash(point);
        symmetric.mix_key(&p256.agree(ephemeral.secret(), &relay_ephemeral)?);
        let mut payload: [u8; LinkLimits::LEN] = *sealed;
        symmetric.decrypt_and_hash(&mut payload, tag)?;
        Ok(ReceivedMessage2 {
            symmetric,
            relay,
            relay_ephemeral,
            limits,
            relay_limits: LinkLimits::parse(&payload)?,
        })
    }
}

impl ReceivedMessage2 {
    /// What the relay takes.
    #[must_use]
    pub const fn relay_limits(&self) -> &LinkLimits {
        &self.relay_limits
    }

    /// Writes `s, se`, the signing key and this side's limits, with the length in front. `IKd` is the
    /// static key, so it may stay in a secure element.
    ///
    /// # Errors
    /// [`HandshakeError`]: the connection ends.
    pub fn write_message_3(
        self,
        p256: &mut impl P256,
        identity: &mut impl IdentityKeys,
        out: &mut [u8; FLIGHT_3_LEN],
    ) -> Result<Transport, HandshakeError> {
        let Self {
            mut symmetric,
            relay,
            relay_ephemeral,
            limits,
            relay_limits,
        } = self;
        let own = *identity.public();
        if [relay, relay_ephemeral].contains(own.agreement()) {
            return Err(HandshakeError::OwnKey);
        }
        let mut w = Writer::new(out);
        w.put(&prefix(MESSAGE_3_LEN))?;

        let mut sealed = p256.expand(own.agreement())?;
        let tag = symmetric.encrypt_and_hash(&mut sealed);
        w.put(&sealed)?;
        w.put(&tag)?;

        symmetric.mix_key(&identity.agree(p256, &relay_ephemeral)?);
        let mut payload = [0; PAYLOAD_3_LEN];
        let mut fields = Writer::new(&mut payload);
        fields.put(own.signing().bytes())?;
        fields.put(&limits.emit())?;
        let tag = symmetric.encrypt_and_hash(&mut payload);
        w.put(&payload)?;
        w.put(&tag)?;

        let (send, receive) = symmetric.split();
        Ok(Transport::new(send, receive, limits, relay_limits))
    }
}
