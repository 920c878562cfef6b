//! The first message of a peer's start: it is opened before a session exists.
//!
//! Nothing deep runs on top of a session that is still being built: agreement, header and body come
//! first, on a few hundred bytes of keys.

use super::{
    Content, ID_LEN, OpenError, Opened, Session,
    open::{self, NextChain, Plan},
    part::RatchetPart,
};
use crate::{
    crypto::{P256, SecretKey, kdf::Direction},
    limits::MAX_JUMP,
    ratchet::{
        header::{Header, HeaderKey},
        root::RootKey,
    },
    wire::envelope::Envelope,
};

/// What a responder has before the first message.
pub(crate) struct Before<'a> {
    pub(crate) id: &'a [u8; ID_LEN],
    pub(crate) root: &'a RootKey,
    /// Hides the initiator's first headers.
    pub(crate) header: &'a HeaderKey,
    /// The signed prekey: it answers the initiator's first step (DR 4.3).
    pub(crate) prekey: &'a SecretKey,
}

/// A first message that verified, and the step that a session takes with it.
pub(crate) struct FirstMessage<'b> {
    header: Header,
    next: NextChain,
    content: Content<'b>,
}

impl<'b> FirstMessage<'b> {
    // A frame of its own, which has ended when the session is built.
    #[inline(never)]
    pub(crate) fn open(
        before: &Before<'_>,
        p256: &mut impl P256,
        envelope: &'b mut [u8],
    ) -> Result<Self, OpenError> {
        let way = Direction::FromInitiator;
        let prefix_len = Envelope::parse(envelope)
            .map_err(|_| OpenError::Unopenable)?
            .prefix_len;
        let part = RatchetPart::split(envelope, prefix_len).ok_or(OpenError::Unopenable)?;
        let header = open::find(&part, way, before.header).ok_or(OpenError::Unopenable)?;
        let next = NextChain::agree(p256, before.prekey, before.root, &header, way)?;
        if header.n > MAX_JUMP {
            return Err(OpenError::TooFar);
        }
        let key = next.message_key(header.n);
        let content = open::read(part, before.id, way, key, &header)?;
        Ok(Self {
            header,
            next,
            content,
        })
    }

    /// Takes the step on a new session of the same keys.
    pub(crate) fn commit<const SKIP: usize>(self, session: &mut Session<SKIP>) -> Opened<'b> {
        let Self {
            header,
            next,
            content,
        } = self;
        let lost = session.commit(Plan::Step(next), &header);
        Opened {
            content,
            stepped: true,
            lost,
        }
    }
}
