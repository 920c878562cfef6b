//! An identity is two keys; its [`Address`] certifies both.

use core::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use rand_core::CryptoRng;

use crate::crypto::{
    CryptoError, KeyPair, P256, PublicKey, SecretKey, SharedSecret, Signature,
    kdf::{hkdf, label, sha256},
    secret::secret,
};

/// The human-readable part of an address.
const HRP: Hrp = Hrp::parse_unchecked("hush");

/// Where messages go: 20 bytes of a hash over both identity keys. PROTOCOL 2.1
///
/// Self-certifying: who knows the address cannot be given other keys for it. Shown as bech32m,
/// `hush1…`, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub [u8; Self::LEN]);

impl core::hash::Hash for Address {
    /// Eight bytes: an address is a hash already, and a map's hasher mixes in its own key.
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let head = self.0.first_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_ne_bytes(head));
    }
}

impl Address {
    pub(crate) fn of(signing: &[u8; PublicKey::LEN], agreement: &[u8; PublicKey::LEN]) -> Self {
        let hash = sha256(&[label::ADDRESS, signing, agreement]);
        let [address @ .., _, _, _, _, _, _, _, _, _, _, _, _] = hash;
        Self(address)
    }

    /// Length in bytes.
    pub const LEN: usize = 20;
    /// No identity's address: the hash is never zero in practice.
    pub const ZERO: Self = Self([0; Self::LEN]);
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, HRP, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no Hushwire address. A typing error shows: bech32m has a check sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a Hushwire address: expected hush1 and 38 more characters")
    }
}

impl core::error::Error for NotAnAddress {}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| NotAnAddress)?;
        if parsed.hrp() != HRP {
            return Err(NotAnAddress);
        }
        // 20 bytes are 32 characters exactly: a 33rd would be dropped, and one address have two texts.
        if parsed.data_part_ascii_no_checksum().len() != Self::LEN * 8 / 5 {
            return Err(NotAnAddress);
        }
        let mut bytes = [0; Self::LEN];
        let mut data = parsed.byte_iter();
        for slot in &mut bytes {
            *slot = data.next().ok_or(NotAnAddress)?;
        }
        if data.next().is_some() {
            Err(NotAnAddress)
        } else {
            Ok(Self(bytes))
        }
    }
}

/// The public half of an identity: what signs and what agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityPublic {
    signing: PublicKey,
    agreement: PublicKey,
}

impl IdentityPublic {
    /// Length of both keys in bytes: `IKs ‖ IKd`.
    pub const LEN: usize = 2 * PublicKey::LEN;

    /// Both keys of somebody.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] where both are the same key.
    pub fn new(signing: PublicKey, agreement: PublicKey) -> Result<Self, CryptoError> {
        if signing == agreement {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Self { signing, agreement })
    }

    /// Checks keys that came from outside, `IKs ‖ IKd`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] where one is no canonical point, or both are one.
    pub fn parse(p256: &mut impl P256, bytes: &[u8; Self::LEN]) -> Result<Self, CryptoError> {
        let (signing, agreement) = Self::halves(bytes)?;
        Self::new(
            PublicKey::parse(p256, signing)?,
            PublicKey::parse(p256, agreement)?,
        )
    }

    /// Keys out of our own sealed record.
    #[cfg(feature = "e2ee")]
    pub(crate) fn checked(bytes: &[u8; Self::LEN]) -> Result<Self, CryptoError> {
        let (signing, agreement) = Self::halves(bytes)?;
        Self::new(PublicKey::checked(*signing), PublicKey::checked(*agreement))
    }

    pub(crate) fn halves(
        bytes: &[u8; Self::LEN],
    ) -> Result<(&[u8; PublicKey::LEN], &[u8; PublicKey::LEN]), CryptoError> {
        let (signing, rest) = bytes
            .split_first_chunk::<{ PublicKey::LEN }>()
            .ok_or(CryptoError::InvalidKey)?;
        Ok((signing, rest.first_chunk().ok_or(CryptoError::InvalidKey)?))
    }

    /// The key that verifies bundles.
    #[must_use]
    pub const fn signing(&self) -> &PublicKey {
        &self.signing
    }

    /// The key of agreements and of the link.
    #[must_use]
    pub const fn agreement(&self) -> &PublicKey {
        &self.agreement
    }

    /// `IKs ‖ IKd`.
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let keys = self.signing.bytes().iter().chain(self.agreement.bytes());
        bytes
            .iter_mut()
            .zip(keys)
            .for_each(|(slot, byte)| *slot = *byte);
        bytes
    }

    /// The address that certifies these two keys.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of(self.signing.bytes(), self.agreement.bytes())
    }
}

/// The two long-term keys, in memory or in a secure element that never gives them away.
pub trait IdentityKeys {
    /// The public half.
    fn public(&self) -> &IdentityPublic;

    /// Signs a SHA-256 digest with `IKs`. `added` hedges the nonce; software signs with RFC 6979.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    fn sign(
        &mut self,
        p256: &mut impl P256,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError>;

    /// Agrees with `IKd`.
    ///
    /// # Errors
    /// [`CryptoError`] for a bad peer key or failing hardware.
    fn agree(
        &mut self,
        p256: &mut impl P256,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError>;
}

/// An identity whose keys are in memory.
#[derive(Debug)]
pub struct SoftwareIdentity {
    signing: SecretKey,
    agreement: SecretKey,
    public: IdentityPublic,
}

impl SoftwareIdentity {
    /// Bytes of the seed from which an identity grows.
    pub const SEED_LEN: usize = 32;

    /// Grows both keys from a seed of full entropy: what a restore phrase encodes. PROTOCOL 2.3
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn from_seed(
        p256: &mut impl P256,
        seed: &[u8; Self::SEED_LEN],
    ) -> Result<Self, CryptoError> {
        let signing = grow(p256, seed, 0x01)?;
        let agreement = grow(p256, seed, 0x02)?;
        let public = IdentityPublic::new(*signing.public(), *agreement.public())?;
        Ok(Self {
            signing: SecretKey::new(*signing.secret().expose()),
            agreement: SecretKey::new(*agreement.secret().expose()),
            public,
        })
    }

    /// Makes a new identity; the seed is the caller's to keep.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn generate(p256: &mut impl P256, rng: &mut impl CryptoRng) -> Result<Self, CryptoError> {
        let seed = Seed::made(|seed| rng.fill_bytes(seed));
        Self::from_seed(p256, seed.bytes())
    }
}

secret! {
    /// What an identity grows from.
    struct Seed([u8; SoftwareIdentity::SEED_LEN]);
}

#[inline(never)]
fn grow(p256: &mut impl P256, seed: &[u8; 32], role: u8) -> Result<KeyPair, CryptoError> {
    // A derived value is no scalar with probability 2^-32: the counter then moves on.
    for counter in 0..=u8::MAX {
        let info: [&[u8]; 2] = [label::RESTORE, &[role, counter]];
        let secret = SecretKey::made(|scalar| hkdf(&[], seed, &info, scalar));
        if p256.is_scalar(secret.bytes()) {
            return KeyPair::from_secret(p256, secret);
        }
    }
    Err(CryptoError::Backend)
}

impl IdentityKeys for SoftwareIdentity {
    fn public(&self) -> &IdentityPublic {
        &self.public
    }

    fn sign(
        &mut self,
        p256: &mut impl P256,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        p256.sign(&self.signing, digest, added)
    }

    fn agree(
        &mut self,
        p256: &mut impl P256,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError> {
        p256.agree(&self.agreement, peer)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;
    use crate::crypto::Software;

    #[test]
    fn a_seed_grows_one_identity() {
        let one = SoftwareIdentity::from_seed(&mut Software, &[1; 32]).unwrap();
        let same = SoftwareIdentity::from_seed(&mut Software, &[1; 32]).unwrap();
        let other = SoftwareIdentity::from_seed(&mut Software, &[2; 32]).unwrap();
        assert_eq!(one.public(), same.public());
        assert_ne!(one.public().address(), other.public().address());
        assert_ne!(one.public().signing(), one.public().agreement());
    }

    #[test]
    fn addresses_read_back_and_typing_errors_show() {
        let address = Address([0xab; 20]);
        let text = address.to_string();
        assert_eq!((text.len(), &text[..5]), (43, "hush1"));
        assert_eq!(text.parse(), Ok(address));
        for at in 5..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'q' { b'p' } else { b'q' };
            let typo = std::string::String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<Address>(), Err(NotAnAddress), "{typo}");
        }
        assert!("".parse::<Address>().is_err());
    }

    #[test]
    fn both_keys_make_the_address() {
        let a = *SoftwareIdentity::from_seed(&mut Software, &[1; 32])
            .unwrap()
            .public();
        let b = *SoftwareIdentity::from_seed(&mut Software, &[2; 32])
            .unwrap()
            .public();
        let mixed = IdentityPublic::new(*a.signing(), *b.agreement()).unwrap();
        let swapped = IdentityPublic::new(*a.agreement(), *a.signing()).unwrap();
        assert_ne!(mixed.address(), a.address());
        assert_ne!(swapped.address(), a.address());
        assert!(IdentityPublic::new(*a.signing(), *a.signing()).is_err());
    }
}
