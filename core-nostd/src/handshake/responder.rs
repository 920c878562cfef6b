//! The side that is written to.

use core::num::NonZeroU32;

use super::{Agreed, Terms, sender_key};
use crate::{
    crypto::{KeyPair, P256, PublicKey, SharedSecret, kdf::Direction},
    identity::{IdentityKeys, IdentityPublic},
    limits::{BASE_BODY, MAX_BODY},
    ratchet::header::HeaderKey,
    session::{OpenError, Opened, Receiving, Session, StartTag},
    wire::{
        Reader,
        envelope::{CLEAR_LEN, Start},
    },
};

/// Length of the clear part of an opening: what the sealed sender is bound to.
const CLEAR: usize = CLEAR_LEN + PublicKey::LEN + 4 + 4;

/// An opening whose ephemeral key was checked to be on the curve.
#[derive(Debug)]
pub struct Received<'a> {
    start: Start<'a>,
    clear: &'a [u8; CLEAR],
    ephemeral: PublicKey,
}

impl<'a> Received<'a> {
    /// Takes the opening out of a whole envelope.
    ///
    /// # Errors
    /// [`OpenError::Unopenable`] where the ephemeral key is no point, [`OpenError::Backend`].
    pub fn new(
        p256: &mut impl P256,
        envelope: &'a [u8],
        start: Start<'a>,
    ) -> Result<Self, OpenError> {
        let ephemeral = PublicKey::parse(p256, start.ephemeral)?;
        let clear = envelope.first_chunk().ok_or(OpenError::Unopenable)?;
        Ok(Self {
            start,
            clear,
            ephemeral,
        })
    }

    /// DH2: opens who the sender says it is. Strangers are refused here, before more is computed.
    ///
    /// # Errors
    /// [`OpenError::Unopenable`]: altered, or not for us, or a key of our own comes back;
    /// [`OpenError::Backend`].
    #[inline(never)]
    pub fn identify(
        self,
        p256: &mut impl P256,
        identity: &mut impl IdentityKeys,
    ) -> Result<SenderKnown<'a>, OpenError> {
        let own = *identity.public();
        let dh2 = identity.agree(p256, &self.ephemeral)?;
        let mut sender = *self.start.sender;
        sender_key(&dh2, self.clear)
            .open(self.clear, &mut sender, self.start.tag)
            .map_err(|_| OpenError::Unopenable)?;
        let mut r = Reader::new(&sender);
        let keys = r.array().map_err(|_| OpenError::Unopenable)?;
        let max_body = r.u16().map_err(|_| OpenError::Unopenable)?;
        let sender = IdentityPublic::parse(p256, keys)?;
        let theirs = [sender.signing(), sender.agreement(), &self.ephemeral];
        let reflected = theirs
            .iter()
            .any(|key| *key == own.signing() || *key == own.agreement());
        if reflected || !(BASE_BODY..=MAX_BODY).contains(&usize::from(max_body)) {
            return Err(OpenError::Unopenable);
        }
        Ok(SenderKnown {
            received: self,
            dh2,
            sender,
            max_body,
        })
    }
}

/// An opening whose sender is named, though not yet proved: that takes DH1.
#[derive(Debug)]
pub struct SenderKnown<'a> {
    received: Received<'a>,
    dh2: SharedSecret,
    sender: IdentityPublic,
    max_body: u16,
}

impl SenderKnown<'_> {
    /// Who the sender says it is.
    #[must_use]
    pub const fn sender(&self) -> &IdentityPublic {
        &self.sender
    }

    /// Finishes the agreement with the prekeys that the opening names.
    ///
    /// # Errors
    /// [`OpenError::Unopenable`] where a one-time prekey is named and not given, or reversed;
    /// [`OpenError::Backend`].
    #[inline(never)]
    pub fn accept<'p>(
        self,
        p256: &mut impl P256,
        identity: &mut impl IdentityKeys,
        signed_prekey: (u32, &'p KeyPair),
        one_time_prekey: Option<(u32, &KeyPair)>,
    ) -> Result<Accepted<'p>, OpenError> {
        let Self {
            received,
            dh2,
            sender,
            max_body,
        } = self;
        let Received {
            start, ephemeral, ..
        } = received;
        let named = (start.signed_prekey_id, start.one_time_prekey_id);
        if named != (signed_prekey.0, one_time_prekey.map(|(id, _)| id)) {
            return Err(OpenError::Unopenable);
        }
        let mut agree = |secret, peer| p256.agree(secret, peer);
        let agreed = Agreed {
            dh1: agree(signed_prekey.1.secret(), sender.agreement())?,
            dh2,
            dh3: agree(signed_prekey.1.secret(), &ephemeral)?,
            dh4: match one_time_prekey {
                Some((_, pair)) => Some(agree(pair.secret(), &ephemeral)?),
                None => None,
            },
        };
        let terms = Terms {
            initiator: &sender,
            responder: identity.public(),
            ephemeral: &ephemeral,
            signed_prekey: (signed_prekey.0, signed_prekey.1.public()),
            one_time_prekey: one_time_prekey.map(|(id, pair)| (id, pair.public())),
            max_body,
        };
        let keys = agreed.first_keys(&terms);
        let start = StartTag::of(ephemeral.bytes());
        let spent = one_time_prekey.and_then(|(id, _)| NonZeroU32::new(id));
        Ok(Accepted {
            keys,
            start,
            spent,
            max_body,
            signed_prekey: signed_prekey.1,
        })
    }
}

/// An agreement that becomes a session with the first message that decrypts.
pub struct Accepted<'p> {
    keys: super::FirstKeys,
    start: StartTag,
    spent: Option<NonZeroU32>,
    max_body: u16,
    signed_prekey: &'p KeyPair,
}

impl Accepted<'_> {
    /// Opens the first message: only now does a session exist, and only now is the one-time prekey
    /// spent.
    ///
    /// # Errors
    /// [`OpenError`]: nothing came of it, and every prekey is as it was.
    pub fn open<'b, const SKIP: usize>(
        self,
        p256: &mut impl P256,
        envelope: &'b mut [u8],
    ) -> Result<(Session<SKIP>, Opened<'b>), OpenError> {
        let mut place = None;
        let opened = self.open_in(p256, envelope, &mut place)?;
        Ok((place.ok_or(OpenError::Unopenable)?, opened))
    }

    /// [`Self::open`], with the session made in its place: it is never moved on the stack, where a
    /// device has no room for two. What was in the place is dropped; after an error it is empty.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_in<'b, const SKIP: usize>(
        self,
        p256: &mut impl P256,
        envelope: &'b mut [u8],
        place: &mut Option<Session<SKIP>>,
    ) -> Result<Opened<'b>, OpenError> {
        let secret = self.signed_prekey.secret();
        self.session_in(place);
        let opened = match place {
            Some(session) => session.open_with(p256, envelope, Some(secret)),
            None => Err(OpenError::Unopenable),
        };
        if opened.is_err() {
            *place = None;
        }
        opened
    }

    /// The session before its first message.
    #[inline(never)]
    fn session_in<const SKIP: usize>(self, place: &mut Option<Session<SKIP>>) {
        let Self {
            keys,
            start,
            spent,
            max_body,
            signed_prekey,
        } = self;
        *place = Some(Session {
            direction: Direction::FromResponder,
            id: keys.id,
            start,
            confirmed: false,
            one_time_prekey: spent,
            max_body,
            root: keys.root,
            peer: *signed_prekey.public(),
            sending: None,
            next_sending_header: HeaderKey::new(*keys.responder_header.bytes()),
            previous: 0,
            receiving: Receiving::Nothing { opening: None },
            next_receiving_header: HeaderKey::new(*keys.initiator_header.bytes()),
        });
    }
}
