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

/// A message key under its salt: what encrypts the body, and what commits to the key.
pub(crate) struct BodyKey {
    pub(crate) key: OneTimeKey,
    pub(crate) commitment: [u8; COMMITMENT_LEN],
}

impl MessageKey {
    /// The salt is random: only a failed generator *and* a state that went back together could
    /// repeat a key.
    pub(crate) fn body_key(self, salt: &[u8; SALT_LEN], direction: Direction) -> BodyKey {
        let mut out = zeroize::Zeroizing::new([0; OneTimeKey::LEN + COMMITMENT_LEN]);
        hkdf(
            salt,
            self.bytes(),
            &[label::MESSAGE, &[direction.byte()]],
            &mut *out,
        );
        let mut commitment = [0; COMMITMENT_LEN];
        let mut key = zeroize::Zeroizing::new([0; OneTimeKey::LEN]);
        if let Some((head, tail)) = out.split_first_chunk::<{ OneTimeKey::LEN }>() {
            *key = *head;
            commitment
                .iter_mut()
                .zip(tail)
                .for_each(|(slot, byte)| *slot = *byte);
        }
        BodyKey {
            key: OneTimeKey::new(*key),
            commitment,
        }
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
