//! X3DH with the whole transcript bound: how two devices that never met make a session.
//!
//! ```text
//! initiator: PrekeyVerified -> Initiator -> Session (its first messages carry the opening)
//! responder: opening -> Received -> SenderKnown -> Accepted -> (Session, first message)
//! ```
//! DH1 = IKd_A·SPK_B, DH2 = EK·IKd_B, DH3 = EK·SPK_B, [DH4 = EK·OPK_B]. PROTOCOL 5

mod initiator;
mod responder;

pub use initiator::{Initiator, StartError};
pub use responder::{Accepted, Received, SenderKnown};

use crate::{
    crypto::{
        PublicKey, SharedSecret,
        aead::OneTimeKey,
        kdf::{hkdf, label, sha256},
        secret::secret,
    },
    identity::IdentityPublic,
    ratchet::{header::HeaderKey, root::RootKey},
    session::ID_LEN,
    wire::{SUITE, VERSION},
};

/// What both sides know of a start, and what is bound to it.
pub(crate) struct Terms<'a> {
    pub(crate) initiator: &'a IdentityPublic,
    pub(crate) responder: &'a IdentityPublic,
    pub(crate) ephemeral: &'a PublicKey,
    pub(crate) signed_prekey: (u32, &'a PublicKey),
    pub(crate) one_time_prekey: Option<(u32, &'a PublicKey)>,
    /// Largest body that the initiator takes.
    pub(crate) max_body: u16,
}

impl Terms<'_> {
    /// SHA-256 of everything that was agreed: it goes into the key derivation, and through the
    /// session's id into every message's associated data. PROTOCOL 5.3
    fn transcript(&self) -> [u8; 32] {
        let (flag, id, point) = match &self.one_time_prekey {
            Some((id, point)) => (1, *id, *point.bytes()),
            None => (0, 0, [0; PublicKey::LEN]),
        };
        sha256(&[
            label::TRANSCRIPT,
            &[VERSION, SUITE],
            &self.initiator.bytes(),
            &self.responder.bytes(),
            self.ephemeral.bytes(),
            &self.signed_prekey.0.to_be_bytes(),
            self.signed_prekey.1.bytes(),
            &[flag],
            &id.to_be_bytes(),
            &point,
            &self.max_body.to_be_bytes(),
        ])
    }
}

/// The four results, in protocol order.
pub(crate) struct Agreed {
    pub(crate) dh1: SharedSecret,
    pub(crate) dh2: SharedSecret,
    pub(crate) dh3: SharedSecret,
    pub(crate) dh4: Option<SharedSecret>,
}

/// What a start gives both sides.
pub(crate) struct FirstKeys {
    pub(crate) root: RootKey,
    /// Hides the initiator's first headers.
    pub(crate) initiator_header: HeaderKey,
    /// Hides the responder's first headers.
    pub(crate) responder_header: HeaderKey,
    pub(crate) id: [u8; ID_LEN],
}

secret! {
    /// The results in a row, behind X3DH's 32 bytes FF.
    struct Input([u8; 32 * 5]);
}

secret! {
    /// What a start gives, as it is derived.
    struct Derived([u8; 96 + ID_LEN]);
}

impl Agreed {
    #[inline(never)]
    pub(crate) fn first_keys(&self, terms: &Terms<'_>) -> FirstKeys {
        // X3DH 2.2: 32 bytes FF first, as if they were a curve's impossible key.
        let mut input = Input::new([0xff; 32 * 5]);
        let results = [
            Some(&self.dh1),
            Some(&self.dh2),
            Some(&self.dh3),
            self.dh4.as_ref(),
        ];
        let blocks = input.0.as_chunks_mut::<32>().0.iter_mut().skip(1);
        let mut len = 32_usize;
        for (block, result) in blocks.zip(results.into_iter().flatten()) {
            *block = *result.bytes();
            len = len.saturating_add(32);
        }
        let input = input.bytes().get(..len).unwrap_or(&[]);
        let info: [&[u8]; 2] = [label::SESSION, &terms.transcript()];
        let out = Derived::made(|out| hkdf(&[], input, &info, out));
        let (keys, id) = out.bytes().as_chunks::<32>();
        let [root, initiator_header, responder_header] = match keys {
            [a, b, c] => [*a, *b, *c],
            // 112 bytes are three times 32 and an id.
            _ => [[0; 32]; 3],
        };
        FirstKeys {
            root: RootKey::new(root),
            initiator_header: HeaderKey::new(initiator_header),
            responder_header: HeaderKey::new(responder_header),
            id: id.first_chunk().copied().unwrap_or_default(),
        }
    }
}

/// K_id: seals the sender's keys to the recipient. PROTOCOL 5.2
pub(crate) fn sender_key(dh2: &SharedSecret, clear: &[u8]) -> OneTimeKey {
    OneTimeKey::made(|key| hkdf(&[], dh2.bytes(), &[label::IDENTITY, clear], key))
}
