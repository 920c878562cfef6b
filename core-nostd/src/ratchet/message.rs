//! One message key, spent on one body.

use subtle::ConstantTimeEq as _;

use crate::{
    crypto::{
        aead::{Forged, OneTimeKey},
        kdf::{Direction, hkdf, label},
        secret::secret,
    },
    wire::envelope::{COMMITMENT_LEN, SALT_LEN},
};

secret! {
    /// The key of one message.
    pub(crate) struct MessageKey([u8; 32]);
}

secret! {
    /// Key, nonce and commitment as they are derived.
    struct Derived([u8; OneTimeKey::LEN + COMMITMENT_LEN]);
}

/// A message key under its salt: what encrypts the body, and what commits to the key.
pub(crate) struct BodyKey {
    pub(crate) key: OneTimeKey,
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

impl MessageKey {
    /// The salt is random: only a failed generator *and* a state that went back together could
    /// repeat a key.
    #[inline(never)]
    pub(crate) fn body_key(self, salt: &[u8; SALT_LEN], direction: Direction) -> BodyKey {
        let info: [&[u8]; 2] = [label::MESSAGE, &[direction.byte()]];
        let out = Derived::made(|out| hkdf(salt, self.bytes(), &info, out));
        let mut commitment = [0; COMMITMENT_LEN];
        let mut key = OneTimeKey::new([0; OneTimeKey::LEN]);
        if let Some((head, tail)) = out.bytes().split_first_chunk() {
            key = OneTimeKey::new(*head);
            commitment
                .iter_mut()
                .zip(tail)
                .for_each(|(slot, byte)| *slot = *byte);
        }
        BodyKey { key, commitment }
    }
}

impl BodyKey {
    /// AES-GCM alone lets one ciphertext open under many keys; the commitment does not.
    pub(crate) fn matches(&self, commitment: &[u8; COMMITMENT_LEN]) -> Result<(), Forged> {
        if bool::from(self.commitment.ct_eq(commitment)) {
            Ok(())
        } else {
            Err(Forged)
        }
    }
}
