//! The relay's side of the handshake, one type for each step. PROTOCOL 3.2

use rand_core::CryptoRng;

use super::{
    FLIGHT_2_LEN, HandshakeError, LinkLimits, MESSAGE_2_LEN, PATTERN_XK, PAYLOAD_3_LEN, POINT_LEN,
    PREAMBLE_LEN, PreambleError, prefix, symmetric::SymmetricState, transport::Transport,
};
use crate::{
    crypto::{KeyPair, P256, PublicKey},
    identity::IdentityPublic,
    wire::{Reader, SUITE, VERSION, Writer},
};

/// A relay that took a client's preamble; message 1 is awaited.
#[derive(Debug)]
pub struct Responder(());

/// The client knows this relay's key. Nothing is known of the client yet.
#[derive(Debug)]
pub struct ReceivedMessage1 {
    symmetric: SymmetricState,
    own: PublicKey,
    client_ephemeral: PublicKey,
}

/// Message 2 is written; the client's identity is awaited.
#[derive(Debug)]
pub struct SentMessage2 {
    symmetric: SymmetricState,
    own: PublicKey,
    ephemeral: KeyPair,
    limits: LinkLimits,
}

impl Responder {
    /// Checks a client's first bytes. PROTOCOL 3.1
    ///
    /// # Errors
    /// [`PreambleError`]: another protocol, or something newer than this build.
    pub const fn greet(preamble: &[u8; PREAMBLE_LEN]) -> Result<Self, PreambleError> {
        match *preamble {
            [b'H', b'W', VERSION, SUITE, PATTERN_XK] => Ok(Self(())),
            [b'H', b'W', VERSION, SUITE, _] => Err(PreambleError::Pattern),
            [b'H', b'W', VERSION, _, _] => Err(PreambleError::Suite),
            [b'H', b'W', _, _, _] => Err(PreambleError::Version),
            _ => Err(PreambleError::NotHushwire),
        }
    }

    /// Reads `e, es`. `own` is the relay's static key. Noise 7.5
    ///
    /// # Errors
    /// [`HandshakeError`]: the connection ends.
    pub fn read_message_1(
        self,
        p256: &mut impl P256,
        own: &KeyPair,
        message: &[u8],
    ) -> Result<ReceivedMessage1, HandshakeError> {
        let mut r = Reader::new(message);
        let (point, tag) = (r.array::<POINT_LEN>()?, r.array()?);
        r.finish()?;

        let client_ephemeral = p256.compress(point)?;
        if client_ephemeral == *own.public() {
            return Err(HandshakeError::OwnKey);
        }
        let es = p256.agree(own.secret(), &client_ephemeral)?;
        let mut symmetric = SymmetricState::begin(&p256.expand(own.public())?, point, &es);
        symmetric.decrypt_and_hash(&mut [], tag)?;
        Ok(ReceivedMessage1 {
            symmetric,
            own: *own.public(),
            client_ephemeral,
        })
    }
}

impl ReceivedMessage1 {
    /// Writes `e, ee` and this side's limits, with the length in front.
    ///
    /// # Errors
    /// [`HandshakeError::Backend`] where hardware fails.
    pub fn write_message_2(
        self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        limits: LinkLimits,
        out: &mut [u8; FLIGHT_2_LEN],
    ) -> Result<SentMessage2, HandshakeError> {
        let Self {
            mut symmetric,
            own,
            client_ephemeral,
        } = self;
        let ephemeral = KeyPair::generate(p256, rng)?;
        let point = p256.expand(ephemeral.public())?;
        symmetric.mix_hash(&point);
        symmetric.mix_key(&p256.agree(ephemeral.secret(), &client_ephemeral)?);
        let mut payload = limits.emit();
        let tag = symmetric.encrypt_and_hash(&mut payload);

        let mut w = Writer::new(out);
        w.put(&prefix(MESSAGE_2_LEN))?;
        w.put(&point)?;
        w.put(&payload)?;
        w.put(&tag)?;
        Ok(SentMessage2 {
            symmetric,
            own,
            ephemeral,
            limits,
        })
    }
}

impl SentMessage2 {
    /// Reads `s, se`, the signing key and the client's limits. The client holds the agreement key of
    /// the identity that comes out, and so owns its mailbox.
    ///
    /// # Errors
    /// [`HandshakeError`]: the connection ends.
    pub fn read_message_3(
        self,
        p256: &mut impl P256,
        message: &[u8],
    ) -> Result<(Transport, IdentityPublic), HandshakeError> {
        let Self {
            mut symmetric,
            own,
            ephemeral,
            limits,
        } = self;
        let mut r = Reader::new(message);
        let (sealed_point, point_tag) = (r.array()?, r.array()?);
        let (sealed_payload, payload_tag) = (r.array()?, r.array()?);
        r.finish()?;

        let mut point: [u8; POINT_LEN] = *sealed_point;
        symmetric.decrypt_and_hash(&mut point, point_tag)?;
        let agreement = p256.compress(&point)?;
        if [own, *ephemeral.public()].contains(&agreement) {
            return Err(HandshakeError::OwnKey);
        }
        symmetric.mix_key(&p256.agree(ephemeral.secret(), &agreement)?);
        let mut payload: [u8; PAYLOAD_3_LEN] = *sealed_payload;
        symmetric.decrypt_and_hash(&mut payload, payload_tag)?;

        let mut fields = Reader::new(&payload);
        let signing = PublicKey::parse(p256, fields.array()?)?;
        let client_limits = LinkLimits::parse(fields.array()?)?;
        let client = IdentityPublic::new(signing, agreement)?;
        let (receive, send) = symmetric.split();
        let transport = Transport::new(send, receive, limits, client_limits);
        Ok((transport, client))
    }
}
