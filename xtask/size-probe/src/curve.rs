//! Stands for a chip whose accelerator does the curve: what is left is the flash that such a chip
//! needs, and the panic paths that are not the software curve's.

use core::hint::black_box;

use hushwire_core::crypto::{CryptoError, P256, PublicKey, SecretKey, SharedSecret, Signature};

use crate::input::array;

/// Any P-256 that is not linked in.
#[derive(Clone, Copy)]
pub struct Accelerator;

fn maybe<T>(value: T) -> Result<T, CryptoError> {
    if black_box(true) {
        Ok(black_box(value))
    } else {
        Err(CryptoError::Backend)
    }
}

impl P256 for Accelerator {
    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool {
        black_box(bytes);
        black_box(true)
    }

    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError> {
        black_box(secret.expose());
        PublicKey::parse(self, &array())
    }

    fn agree(&mut self, secret: &SecretKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        black_box((secret.expose(), peer.bytes()));
        maybe(SharedSecret::from_backend(array()))
    }

    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        black_box((secret.expose(), digest, added));
        maybe(Signature(array()))
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        black_box((key.bytes(), digest, signature.0));
        maybe(())
    }

    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError> {
        black_box(key.bytes());
        maybe(array())
    }

    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        black_box(bytes);
        PublicKey::parse(self, &array())
    }
}
