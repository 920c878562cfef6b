//! PROTOCOL 1: the primitives, each in one line where that can be.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use hmac::Mac as _;
use p256::{
    PublicKey, SecretKey,
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{ff::PrimeField as _, sec1::ToSec1Point as _},
};
use sha2::Digest as _;

/// `a ‖ b ‖ …`.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(data).into()
}

pub(crate) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().into()
}

pub(crate) fn hkdf(salt: &[u8], input: &[u8], info: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(salt), input);
    hkdf.expand(info, &mut out).unwrap();
    out
}

/// The ciphertext, then its tag.
pub(crate) fn seal(key: &[u8], nonce: &[u8], ad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = plain.to_vec();
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), ad, InOutBuf::from(&mut out[..]))
        .unwrap();
    out.extend_from_slice(&tag);
    out
}

pub(crate) fn open(key: &[u8], nonce: &[u8], ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (body, tag) = sealed.split_last_chunk::<16>()?;
    let mut out = body.to_vec();
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    let buffer = InOutBuf::from(&mut out[..]);
    cipher
        .decrypt_inout_detached(&nonce.into(), ad, buffer, &(*tag).into())
        .ok()?;
    Some(out)
}

/// A scalar and its point.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) scalar: [u8; 32],
    /// 33 bytes.
    pub(crate) point: Vec<u8>,
    /// 65 bytes.
    pub(crate) long_point: Vec<u8>,
}

impl Pair {
    /// `None` where the bytes are no scalar. PROTOCOL 1.3
    pub(crate) fn new(scalar: [u8; 32]) -> Option<Self> {
        let public = SecretKey::from_slice(&scalar).ok()?.public_key();
        let form = |compressed| public.to_sec1_point(compressed).as_bytes().to_vec();
        Some(Self {
            scalar,
            point: form(true),
            long_point: form(false),
        })
    }

    /// ECDH: the x coordinate.
    pub(crate) fn agree(&self, point: &[u8]) -> [u8; 32] {
        let scalar = p256::Scalar::from_repr(self.scalar.into()).unwrap();
        let peer = PublicKey::from_sec1_bytes(point).unwrap();
        let product = (peer.to_projective() * scalar).to_affine();
        product.to_sec1_point(false).as_bytes()[1..33]
            .try_into()
            .unwrap()
    }

    /// ECDSA by RFC 6979 with nothing added: `r ‖ s`.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Vec<u8> {
        let key = SigningKey::from_slice(&self.scalar).unwrap();
        let signature: Signature = key.sign_prehash(digest).unwrap();
        signature.to_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6979_a_2_5() {
        let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        let pair = Pair::new(hex::decode(scalar).unwrap().try_into().unwrap()).unwrap();
        let signature = pair.sign(&sha256(b"sample"));
        assert_eq!(
            hex::encode(signature),
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
             f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
        );
    }

    #[test]
    fn no_scalar() {
        assert!(Pair::new([0; 32]).is_none());
        assert!(Pair::new([0xff; 32]).is_none());
    }

    #[test]
    fn open_reverses_seal() {
        let sealed = seal(&[1; 32], &[2; 12], b"ad", b"text");
        assert_eq!(open(&[1; 32], &[2; 12], b"ad", &sealed).unwrap(), b"text");
        assert_eq!(open(&[1; 32], &[2; 12], b"aD", &sealed), None);
    }
}
