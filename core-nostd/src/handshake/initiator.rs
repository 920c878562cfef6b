//! The side that writes first.

use rand_core::CryptoRng;

use super::{Agreed, Terms, sender_key};
use crate::{
    crypto::{CryptoError, KeyPair, P256, PublicKey, kdf::Direction},
    identity::{IdentityKeys, IdentityPublic},
    ratchet::{chain::SendingChain, header::HeaderKey},
    session::{OPENING_LEN, Receiving, Session, StartTag},
    wire::{
        SUITE, VERSION, WireError, Writer,
        bundle::PrekeyVerified,
        envelope::{SENDER_LEN, kind},
    },
};

/// Why a session cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The bundle is our own, or repeats one of our keys. The relay is at fault.
    OwnKey,
    /// A key is bad or the backend failed.
    Crypto(CryptoError),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OwnKey => f.write_str("the recipient's bundle holds our own keys"),
            Self::Crypto(error) => write!(f, "no session can be started: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<CryptoError> for StartError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<WireError> for StartError {
    fn from(_: WireError) -> Self {
        Self::Crypto(CryptoError::Backend)
    }
}

/// A start whose recipient's bundle was verified.
#[derive(Debug)]
pub struct Initiator<'a> {
    own: IdentityPublic,
    bundle: &'a PrekeyVerified,
    max_body: u16,
}

impl<'a> Initiator<'a> {
    /// Prepares a start. `max_body` is the largest body that this side takes.
    ///
    /// # Errors
    /// [`StartError::OwnKey`] where the bundle reflects a key of ours.
    pub fn new(
        own: &IdentityPublic,
        bundle: &'a PrekeyVerified,
        max_body: u16,
    ) -> Result<Self, StartError> {
        let theirs = [
            bundle.identity.signing(),
            bundle.identity.agreement(),
            &bundle.signed_prekey,
        ];
        if theirs
            .iter()
            .any(|key| *key == own.signing() || *key == own.agreement())
        {
            return Err(StartError::OwnKey);
        }
        Ok(Self {
            own: *own,
            bundle,
            max_body,
        })
    }

    /// Agrees, and makes the session. Its messages carry the opening until one is answered.
    ///
    /// # Errors
    /// [`StartError`] for a bad one-time prekey or failing hardware.
    pub fn start<const SKIP: usize>(
        self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        identity: &mut impl IdentityKeys,
        one_time_prekey: Option<(u32, PublicKey)>,
    ) -> Result<Session<SKIP>, StartError> {
        let mut place = None;
        self.start_in(p256, rng, identity, one_time_prekey, &mut place)?;
        place.ok_or(StartError::Crypto(CryptoError::Backend))
    }

    /// [`Self::start`], with the session made in its place: it is never moved on the stack, where a
    /// device has no room for two. After an error the place is as it was.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    #[inline(never)]
    pub fn start_in<const SKIP: usize>(
        self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        identity: &mut impl IdentityKeys,
        one_time_prekey: Option<(u32, PublicKey)>,
        place: &mut Option<Session<SKIP>>,
    ) -> Result<(), StartError> {
        let Self {
            own,
            bundle,
            max_body,
        } = self;
        let ephemeral = KeyPair::generate(p256, rng)?;
        let agreed = Agreed {
            dh1: identity.agree(p256, &bundle.signed_prekey)?,
            dh2: p256.agree(ephemeral.secret(), bundle.identity.agreement())?,
            dh3: p256.agree(ephemeral.secret(), &bundle.signed_prekey)?,
            dh4: match &one_time_prekey {
                Some((_, point)) => Some(p256.agree(ephemeral.secret(), point)?),
                None => None,
            },
        };
        let terms = Terms {
            initiator: &own,
            responder: &bundle.identity,
            ephemeral: ephemeral.public(),
            signed_prekey: (bundle.signed_prekey_id, &bundle.signed_prekey),
            one_time_prekey: one_time_prekey.as_ref().map(|(id, point)| (*id, point)),
            max_body,
        };
        let keys = agreed.first_keys(&terms);
        let opening = opening(&terms, &agreed)?;
        // DR 4.3: the first ratchet key answers the signed prekey.
        let direction = Direction::FromInitiator;
        let pair = KeyPair::generate(p256, rng)?;
        let step = keys.root.step(
            &p256.agree(pair.secret(), &bundle.signed_prekey)?,
            direction,
        );
        *place = Some(Session {
            direction,
            id: keys.id,
            start: StartTag::of(ephemeral.public().bytes()),
            confirmed: false,
            one_time_prekey: None,
            max_body: bundle.max_body,
            root: step.root,
            peer: bundle.signed_prekey,
            sending: Some(SendingChain::new(step.chain, keys.initiator_header, pair)),
            next_sending_header: step.next_header,
            previous: 0,
            receiving: Receiving::Nothing {
                opening: Some(opening),
            },
            next_receiving_header: HeaderKey::new(*keys.responder_header.bytes()),
        });
        Ok(())
    }
}

/// Everything of a first message before its ratchet part. Sealed once: each message of the first
/// flight repeats these bytes.
fn opening(terms: &Terms<'_>, agreed: &Agreed) -> Result<[u8; OPENING_LEN], WireError> {
    let mut bytes = [0; OPENING_LEN];
    let (kind, id) = match terms.one_time_prekey {
        Some((id, _)) => (kind::START, id),
        None => (kind::START_WITHOUT, 0),
    };
    let mut w = Writer::new(&mut bytes);
    w.put(&[VERSION, SUITE, kind])?;
    w.put(terms.ephemeral.bytes())?;
    w.u32(terms.signed_prekey.0)?;
    w.u32(id)?;
    let len = w.len();
    let (clear, rest) = bytes.split_at_mut_checked(len).ok_or(WireError::Length)?;
    let (sender, rest) = rest
        .split_first_chunk_mut::<SENDER_LEN>()
        .ok_or(WireError::Length)?;
    let tag = rest.first_chunk_mut().ok_or(WireError::Length)?;
    let mut w = Writer::new(sender);
    w.put(&terms.initiator.bytes())?;
    w.u16(terms.max_body)?;
    *tag = sender_key(&agreed.dh2, clear).seal(clear, sender);
    Ok(bytes)
}
