//! [`LinkCipher`]: the AEAD of the records, behind a trait so that a relay can bring a faster one.

use crate::crypto::{
    aead::{self, Forged, TAG_LEN},
    secret::secret,
};

/// AES-256-GCM under one key, in place, tag detached (SP 800-38D).
///
/// Every implementation gives the same bytes: the peer does not know which one is used. It must wipe
/// its key on drop. The caller counts the nonces; none comes twice.
pub trait LinkCipher {
    /// Takes a key.
    fn new(key: &[u8; 32]) -> Self;

    /// Encrypts `buffer` in place and returns its tag. There is no associated data on the link.
    fn seal(&mut self, nonce: &[u8; 12], buffer: &mut [u8]) -> [u8; TAG_LEN];

    /// Checks the tag, then decrypts in place.
    ///
    /// # Errors
    /// [`Forged`] where the tag does not verify; no byte of plaintext is then in `buffer`.
    fn open(
        &mut self,
        nonce: &[u8; 12],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Forged>;
}

secret! {
    /// The default: 32 bytes of RAM. It expands the key anew for each record, which suits a device
    /// that holds one link and counts bytes.
    pub struct AesGcm([u8; 32]);
}

impl LinkCipher for AesGcm {
    fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    fn seal(&mut self, nonce: &[u8; 12], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        aead::seal(self.bytes(), nonce, &[], buffer)
    }

    fn open(
        &mut self,
        nonce: &[u8; 12],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Forged> {
        aead::open(self.bytes(), nonce, &[], buffer, tag)
    }
}

/// A counter as AESGCM's nonce: 32 zero bits, then big-endian. Noise 12.4
pub(super) fn nonce(counter: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = counter.to_be_bytes();
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}
