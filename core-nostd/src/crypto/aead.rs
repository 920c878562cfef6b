//! AES-256-GCM in place, tag detached (SP 800-38D). Every key and nonce pair is used once.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};

use super::secret::secret;

/// Length of a tag in bytes.
pub const TAG_LEN: usize = 16;

secret! {
    /// An AES-256 key together with the 96-bit nonce that it is used with, once.
    pub struct OneTimeKey([u8; 44]);
}

impl OneTimeKey {
    fn split(&self) -> (&[u8; 32], &[u8; 12]) {
        let (key, rest) = self.0.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
        (key, rest.first_chunk::<12>().unwrap_or(&[0; 12]))
    }

    /// Encrypts in place and consumes the key.
    #[must_use]
    pub fn seal(self, associated: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        let (key, nonce) = self.split();
        seal(key, nonce, associated, buffer)
    }

    /// Checks the tag, then decrypts in place. A buffer that does not verify is left as it was.
    ///
    /// # Errors
    /// [`Forged`], whatever the cause.
    pub fn open(
        &self,
        associated: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Forged> {
        let (key, nonce) = self.split();
        open(key, nonce, associated, buffer, tag)
    }
}

/// The tag does not verify: altered, truncated, or sealed under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forged;

/// Encrypts `buffer` in place and returns its tag.
///
/// Lengths are bounded by `limits`, far below GCM's own bound of 2^36 bytes.
#[must_use]
pub fn seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_LEN] {
    let cipher = Aes256Gcm::new(key.into());
    match cipher.encrypt_inout_detached(nonce.into(), associated, InOutBuf::from(&mut *buffer)) {
        Ok(tag) => tag.into(),
        // Only for 2^36 bytes and more. A buffer that could not be sealed must not leave as
        // plaintext, and no tag of zeros opens.
        Err(_) => {
            buffer.fill(0);
            [0; TAG_LEN]
        }
    }
}

/// Checks the tag, then decrypts `buffer` in place. On failure the buffer is as it was.
///
/// # Errors
/// [`Forged`], whatever the cause.
pub fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, InOutBuf::from(buffer), tag.into())
        .map_err(|_| Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_leaves_the_buffer_untouched() {
        let mut buffer = *b"thirty-two bytes of a plain text";
        let tag = seal(&[7; 32], &[1; 12], b"ad", &mut buffer);
        let sealed = buffer;
        let mut wrong = tag;
        wrong[15] ^= 1;
        assert_eq!(
            open(&[7; 32], &[1; 12], b"ad", &mut buffer, &wrong),
            Err(Forged)
        );
        assert_eq!(
            open(&[7; 32], &[1; 12], b"aD", &mut buffer, &tag),
            Err(Forged)
        );
        assert_eq!(buffer, sealed);
        assert_eq!(open(&[7; 32], &[1; 12], b"ad", &mut buffer, &tag), Ok(()));
        assert_eq!(&buffer, b"thirty-two bytes of a plain text");
    }
}
