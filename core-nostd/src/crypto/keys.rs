//! P-256 keys as newtypes that hold only what has been checked.

use core::fmt;

use rand_core::CryptoRng;

use super::{backend::P256, secret::secret};

/// What went wrong in a key operation. It never depends on a secret's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoError {
    /// The peer's bytes are no canonical P-256 point (or scalar). The peer is at fault.
    InvalidKey,
    /// The signature does not verify. The peer is at fault.
    BadSignature,
    /// The accelerator or secure element failed. This device is at fault.
    Backend,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidKey => "not a canonical P-256 key",
            Self::BadSignature => "the signature does not verify",
            Self::Backend => "the P-256 backend failed",
        })
    }
}

impl core::error::Error for CryptoError {}

/// A point of P-256 in its canonical compressed form: 33 bytes, first byte 02 or 03.
///
/// A value of this type was checked to lie on the curve; the point at infinity has no such form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; Self::LEN]);

impl PublicKey {
    /// Length in bytes.
    pub const LEN: usize = 33;

    /// Checks a point that came from outside.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] for every other encoding of SEC 1, and off the curve.
    // Called in many places: once in flash.
    #[inline(never)]
    pub fn parse(p256: &mut impl P256, bytes: &[u8; Self::LEN]) -> Result<Self, CryptoError> {
        let key = Self::of_form(bytes)?;
        p256.expand(&key).map(|_| key)
    }

    /// Looks at the form alone; for a key that is used at once, where the backend looks at the curve.
    pub(crate) const fn of_form(bytes: &[u8; Self::LEN]) -> Result<Self, CryptoError> {
        // SEC 1 2.3.4 also knows compact and uncompressed forms: one point, one name.
        match bytes {
            [0x02 | 0x03, ..] => Ok(Self(*bytes)),
            _ => Err(CryptoError::InvalidKey),
        }
    }

    /// For a backend: wraps the canonical form of a point that its own arithmetic made or checked.
    /// What comes from outside goes through [`Self::parse`].
    #[must_use]
    pub const fn from_backend(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// For bytes that were checked before: our own arithmetic's output, or our own sealed records.
    pub(crate) const fn checked(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The canonical encoding.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in self.0.iter().take(5) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("..)")
    }
}

secret! {
    /// A scalar of P-256, in 1..n, 32 bytes big-endian.
    pub struct SecretKey([u8; 32]);
}

impl SecretKey {
    /// Draws a uniform scalar by rejection (FIPS 186-5 A.2.2).
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where the generator gives no scalar eight times: it is stuck, since
    /// a candidate is refused with probability 2^-32.
    pub fn generate(p256: &mut impl P256, rng: &mut impl CryptoRng) -> Result<Self, CryptoError> {
        for _ in 0..8 {
            let mut candidate = Self([0; 32]);
            rng.fill_bytes(&mut candidate.0);
            if p256.is_scalar(&candidate.0) {
                return Ok(candidate);
            }
        }
        Err(CryptoError::Backend)
    }

    /// Takes a scalar from storage or from a key derivation.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] for zero and for values at or above the group's order.
    pub fn from_bytes(p256: &mut impl P256, bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        if p256.is_scalar(bytes) {
            Ok(Self(*bytes))
        } else {
            Err(CryptoError::InvalidKey)
        }
    }

    /// The scalar, for storage under a key of the caller's and for a backend.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

secret! {
    /// The x coordinate of a Diffie-Hellman result (SEC 1 3.3.1): input of a key derivation, never a key.
    pub struct SharedSecret([u8; 32]);
}

impl SharedSecret {
    /// Wraps what a backend computed.
    #[must_use]
    pub const fn from_backend(x: [u8; 32]) -> Self {
        Self(x)
    }
}

/// A secret scalar and its public point.
#[derive(Debug)]
pub struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair {
    /// Makes a fresh pair.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn generate(p256: &mut impl P256, rng: &mut impl CryptoRng) -> Result<Self, CryptoError> {
        let secret = SecretKey::generate(p256, rng)?;
        Self::from_secret(p256, secret)
    }

    /// Computes the public half.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn from_secret(p256: &mut impl P256, secret: SecretKey) -> Result<Self, CryptoError> {
        let public = p256.public_key(&secret)?;
        Ok(Self { secret, public })
    }

    #[cfg(feature = "e2ee")]
    pub(crate) const fn from_parts(secret: SecretKey, public: PublicKey) -> Self {
        Self { secret, public }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The secret half.
    #[must_use]
    pub const fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// An ECDSA signature over SHA-256: r ‖ s, 64 bytes. Never an identifier: it is malleable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; Self::LEN]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::crypto::Software;

    #[test]
    fn only_canonical_compressed_points_parse() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let pair = KeyPair::generate(&mut Software, &mut rng).unwrap();
        let good = *pair.public().bytes();
        assert_eq!(
            PublicKey::parse(&mut Software, &good).unwrap(),
            *pair.public()
        );
        for tag in (0..=255).filter(|t| ![2, 3].contains(t)) {
            let mut bad = good;
            bad[0] = tag;
            assert_eq!(
                PublicKey::parse(&mut Software, &bad),
                Err(CryptoError::InvalidKey)
            );
        }
        // x at or above the field's prime, and an x with no point.
        let mut off = [0xff; 33];
        off[0] = 2;
        assert_eq!(
            PublicKey::parse(&mut Software, &off),
            Err(CryptoError::InvalidKey)
        );
        let mut refused = 0;
        for x in 0..32u8 {
            let mut bytes = [0; 33];
            bytes[0] = 2;
            bytes[32] = x;
            refused += usize::from(PublicKey::parse(&mut Software, &bytes).is_err());
        }
        assert!(
            (8..=24).contains(&refused),
            "about half of all x have no point, saw {refused}"
        );
    }

    #[test]
    fn scalars_outside_the_group_are_refused() {
        assert!(SecretKey::from_bytes(&mut Software, &[0; 32]).is_err());
        assert!(SecretKey::from_bytes(&mut Software, &[0xff; 32]).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = SecretKey::new([0x5a; 32]);
        assert_eq!(std::format!("{secret:?}"), "SecretKey(..)");
    }
}
