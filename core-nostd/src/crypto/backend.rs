//! [`P256`]: the one trait through which curve arithmetic is done, and its software default.
//!
//! Calls block and take `&mut self`, so that an accelerator with registers can implement it. Keys
//! that never leave a secure element are behind [`crate::identity::IdentityKeys`] instead.

use ecdsa::hazmat;
use p256::{
    AffinePoint, FieldBytes, NonZeroScalar, ProjectivePoint, Sec1Point,
    elliptic_curve::sec1::{FromSec1Point as _, ToSec1Point as _},
};
use sha2::Sha256;

use super::keys::{CryptoError, PublicKey, SecretKey, SharedSecret, Signature};

/// P-256 arithmetic: software, assembly or a chip's accelerator.
///
/// An implementation must be constant-time in every [`SecretKey`] that it is given.
pub trait P256 {
    /// Whether the big-endian bytes are a scalar in 1..n.
    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool;

    /// The point of a scalar.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError>;

    /// ECDH: the x coordinate of `secret · peer`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] where the peer's key is off the curve, [`CryptoError::Backend`].
    fn agree(&mut self, secret: &SecretKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError>;

    /// ECDSA over a SHA-256 digest, deterministic by RFC 6979 with `added` mixed in (RFC 6979 3.6).
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError>;

    /// Checks an ECDSA signature over a SHA-256 digest.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`] where it does not verify.
    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError>;

    /// The 65-byte form (04 ‖ x ‖ y) that the link's handshake carries.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] where the bytes are no point of the curve.
    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError>;

    /// Checks a 65-byte point and gives its canonical form.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] where the bytes are no uncompressed point of the curve.
    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError>;
}

/// The default backend: the `p256` crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Software;

fn scalar(bytes: &[u8; 32]) -> Option<NonZeroScalar> {
    Option::from(NonZeroScalar::from_repr(FieldBytes::from(*bytes)))
}

// Each step has its own frame: on a device the square root of one and the table of multiples of the
// next must not lie on the stack together.

#[inline(never)]
fn affine(key: &PublicKey) -> Result<AffinePoint, CryptoError> {
    let encoded = Sec1Point::from_bytes(key.bytes()).map_err(|_| CryptoError::InvalidKey)?;
    Option::from(AffinePoint::from_sec1_point(&encoded)).ok_or(CryptoError::InvalidKey)
}

#[inline(never)]
fn product(point: &AffinePoint, scalar: &NonZeroScalar) -> AffinePoint {
    (ProjectivePoint::from(*point) * **scalar).to_affine()
}

#[inline(never)]
fn verifies(key: &AffinePoint, digest: &[u8; 32], signature: &Signature) -> bool {
    ecdsa::Signature::<p256::NistP256>::from_slice(&signature.0)
        .and_then(|signature| hazmat::verify_prehashed(&(*key).into(), digest, &signature))
        .is_ok()
}

fn canonical(point: &AffinePoint) -> Result<PublicKey, CryptoError> {
    point
        .to_sec1_point(true)
        .as_bytes()
        .first_chunk()
        .map(|bytes| PublicKey::checked(*bytes))
        .ok_or(CryptoError::InvalidKey)
}

impl P256 for Software {
    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool {
        scalar(bytes).is_some()
    }

    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError> {
        let scalar = scalar(secret.expose()).ok_or(CryptoError::Backend)?;
        canonical(p256::PublicKey::from_secret_scalar(&scalar).as_affine())
    }

    fn agree(&mut self, secret: &SecretKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        let scalar = scalar(secret.expose()).ok_or(CryptoError::Backend)?;
        // No compressed form is the point at infinity's, so neither is the product it.
        let encoded = product(&affine(peer)?, &scalar).to_sec1_point(true);
        match encoded.as_bytes() {
            [_, x @ ..] => <[u8; 32]>::try_from(x)
                .map(SharedSecret::from_backend)
                .map_err(|_| CryptoError::InvalidKey),
            [] => Err(CryptoError::InvalidKey),
        }
    }

    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        let scalar = scalar(secret.expose()).ok_or(CryptoError::Backend)?;
        let (signature, _) =
            hazmat::sign_prehashed_rfc6979::<p256::NistP256, Sha256>(&scalar, digest, added);
        Ok(Signature(signature.to_bytes().into()))
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        if verifies(&affine(key)?, digest, signature) {
            Ok(())
        } else {
            Err(CryptoError::BadSignature)
        }
    }

    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError> {
        let point = affine(key)?.to_sec1_point(false);
        point
            .as_bytes()
            .first_chunk()
            .copied()
            .ok_or(CryptoError::InvalidKey)
    }

    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        let [0x04, ..] = bytes else {
            return Err(CryptoError::InvalidKey);
        };
        let encoded = Sec1Point::from_bytes(bytes).map_err(|_| CryptoError::InvalidKey)?;
        let point: Option<AffinePoint> = Option::from(AffinePoint::from_sec1_point(&encoded));
        canonical(&point.ok_or(CryptoError::InvalidKey)?)
    }
}
