//! The generator's link cipher: the key is expanded once.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use hushwire_core::crypto::aead::{Forged, TAG_LEN};
use hushwire_core::link::LinkCipher;

pub(crate) struct Expanded(Aes256Gcm);

impl LinkCipher for Expanded {
    fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    fn seal(&mut self, nonce: &[u8; 12], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        self.0
            .encrypt_inout_detached(nonce.into(), &[], InOutBuf::from(buffer))
            .map_or([0; TAG_LEN], Into::into)
    }

    fn open(
        &mut self,
        nonce: &[u8; 12],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Forged> {
        self.0
            .decrypt_inout_detached(nonce.into(), &[], InOutBuf::from(buffer), tag.into())
            .map_err(|_| Forged)
    }
}
