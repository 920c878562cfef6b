//! The prekey bundle: one signature over everything that a peer needs to write first. PROTOCOL 4.1
//!
//! ```text
//! 42 ‖ version ‖ IKs 33 ‖ IKd 33 ‖ counter u64 ‖ largest body u16 ‖ signed prekey id u32 ‖ point 33
//!    ‖ suites u8 ‖ (suite u8 ‖ SHA-256 of its further prekeys)* ‖ signature 64
//! ```
//! The signature is over SHA-256(label ‖ address ‖ all bytes before it).

use super::{Reader, SUITE, VERSION, WireError, Writer};
use crate::{
    crypto::{
        CryptoError, P256, PublicKey, Signature,
        kdf::{label, sha256},
    },
    identity::{Address, IdentityPublic},
    limits::{BASE_BODY, MAX_BODY, MAX_SUITES},
};

const KIND: u8 = 0x42;
const SUITE_LEN: usize = 1 + 32;
const FIXED_LEN: usize = 2 + IdentityPublic::LEN + 8 + 2 + 4 + PublicKey::LEN + 1;

/// Bytes of a bundle that offers `suites` suites.
#[must_use]
pub const fn len(suites: usize) -> usize {
    FIXED_LEN + suites * SUITE_LEN + Signature::LEN
}

/// Bytes of the largest bundle.
pub const MAX_LEN: usize = len(MAX_SUITES);

/// Why a bundle is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleError {
    /// It does not parse. Its giver is at fault.
    Wire(WireError),
    /// Its keys are not those of the address that was asked for. The relay is at fault.
    WrongIdentity,
    /// A key or the signature is bad. Its giver is at fault.
    Crypto(CryptoError),
    /// Its counter is lower than one that was seen. The relay is at fault.
    RolledBack,
    /// It offers fewer suites than were seen. The relay is at fault.
    Stripped,
}

impl core::fmt::Display for BundleError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Wire(error) => write!(f, "the prekey bundle does not parse: {error}"),
            Self::WrongIdentity => f.write_str("the prekey bundle is not this address's"),
            Self::Crypto(error) => write!(f, "the prekey bundle is bad: {error}"),
            Self::RolledBack => f.write_str("the prekey bundle is older than one seen before"),
            Self::Stripped => f.write_str("the prekey bundle lost a suite that it offered before"),
        }
    }
}

impl core::error::Error for BundleError {}

impl From<WireError> for BundleError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<CryptoError> for BundleError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

/// The suites that a bundle offers, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Suites([u8; MAX_SUITES]);

impl Suites {
    /// What this build offers.
    pub const OURS: Self = Self([SUITE, 0, 0, 0]);

    /// The raw set; zeros are no suite.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; MAX_SUITES] {
        &self.0
    }

    /// A set out of our own record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; MAX_SUITES]) -> Self {
        Self(bytes)
    }

    /// Whether each suite of `other` is here.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|suite| *suite == 0 || self.0.contains(suite))
    }

    fn push(&mut self, suite: u8) -> Result<(), WireError> {
        if suite == 0 || self.0.contains(&suite) {
            return Err(WireError::Value);
        }
        let slot = self
            .0
            .iter_mut()
            .find(|slot| **slot == 0)
            .ok_or(WireError::Value)?;
        *slot = suite;
        Ok(())
    }
}

/// A bundle's fields, parsed and not yet believed.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    identity: &'a [u8; IdentityPublic::LEN],
    /// Rises with each bundle that its owner signs.
    pub counter: u64,
    /// Bytes of user data in the largest message that its owner takes.
    pub max_body: u16,
    /// Name of the signed prekey.
    pub signed_prekey_id: u32,
    signed_prekey: &'a [u8; PublicKey::LEN],
    /// Suites on offer.
    pub suites: Suites,
    signed: &'a [u8],
    signature: Signature,
}

/// Evidence: a bundle whose identity, points and signature were checked. Only
/// [`Bundle::verify`] makes one, and no session starts without it.
#[derive(Clone, Copy, Debug)]
pub struct PrekeyVerified {
    pub(crate) identity: IdentityPublic,
    pub(crate) counter: u64,
    pub(crate) max_body: u16,
    pub(crate) signed_prekey_id: u32,
    pub(crate) signed_prekey: PublicKey,
    pub(crate) suites: Suites,
}

impl PrekeyVerified {
    /// Whose bundle.
    #[must_use]
    pub const fn identity(&self) -> &IdentityPublic {
        &self.identity
    }

    /// The bundle's counter.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.counter
    }

    /// Bytes of user data in the largest message that its owner takes.
    #[must_use]
    pub const fn max_body(&self) -> u16 {
        self.max_body
    }

    /// The signed prekey's name and point.
    #[must_use]
    pub const fn signed_prekey(&self) -> (u32, &PublicKey) {
        (self.signed_prekey_id, &self.signed_prekey)
    }

    /// Refuses a bundle that goes back behind one seen before.
    ///
    /// # Errors
    /// [`BundleError::RolledBack`], [`BundleError::Stripped`].
    pub fn not_behind(&self, counter: u64, suites: &Suites) -> Result<(), BundleError> {
        if self.counter < counter {
            return Err(BundleError::RolledBack);
        }
        if self.suites.covers(suites) {
            Ok(())
        } else {
            Err(BundleError::Stripped)
        }
    }
}

impl<'a> Bundle<'a> {
    /// Reads a bundle. Nothing in it is believed before [`Self::verify`].
    ///
    /// # Errors
    /// [`WireError`] where it does not parse.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != KIND {
            return Err(WireError::Unknown);
        }
        if r.u8()? != VERSION {
            return Err(WireError::Version);
        }
        let identity = r.array()?;
        let (counter, max_body) = (r.u64()?, r.u16()?);
        if !(BASE_BODY..=MAX_BODY).contains(&usize::from(max_body)) {
            return Err(WireError::Value);
        }
        let (signed_prekey_id, signed_prekey) = (r.u32()?, r.array()?);
        let mut suites = Suites::default();
        for _ in 0..r.u8()? {
            suites.push(r.u8()?)?;
            r.array::<32>()?;
        }
        // Every party speaks suite 0x01: a bundle without it cannot be answered.
        if !suites.0.contains(&SUITE) {
            return Err(WireError::Suite);
        }
        let (signed, _) = bytes
            .split_last_chunk::<{ Signature::LEN }>()
            .ok_or(WireError::Length)?;
        let signature = Signature(*r.array()?);
        r.finish()?;
        let fields = Self {
            identity,
            counter,
            max_body,
            signed_prekey_id,
            signed_prekey,
            suites,
            signed,
            signature,
        };
        Ok(fields)
    }

    /// Checks that this is `owner`'s bundle and that its owner signed all of it.
    ///
    /// # Errors
    /// [`BundleError`], which says who is at fault.
    pub fn verify(
        &self,
        p256: &mut impl P256,
        owner: &Address,
    ) -> Result<PrekeyVerified, BundleError> {
        self.check_owner(owner)?;
        self.check_signature(p256, owner)?;
        self.believed(p256)
    }

    #[inline(never)]
    fn check_owner(&self, owner: &Address) -> Result<(), BundleError> {
        let (signing, agreement) = IdentityPublic::halves(self.identity)?;
        if Address::of(signing, agreement) == *owner {
            Ok(())
        } else {
            Err(BundleError::WrongIdentity)
        }
    }

    // A frame of its own and as small as can be: what follows is the deepest that the curve goes.
    #[inline(never)]
    fn check_signature(&self, p256: &mut impl P256, owner: &Address) -> Result<(), BundleError> {
        let (signing, _) = IdentityPublic::halves(self.identity)?;
        let key = PublicKey::of_form(signing)?;
        let digest = sha256(&[label::BUNDLE, &owner.0, self.signed]);
        Ok(p256.verify(&key, &digest, &self.signature)?)
    }

    /// The fields, once their owner's signature was checked: the key that made it is on the curve.
    #[inline(never)]
    fn believed(&self, p256: &mut impl P256) -> Result<PrekeyVerified, BundleError> {
        let (signing, agreement) = IdentityPublic::halves(self.identity)?;
        let agreement = PublicKey::parse(p256, agreement)?;
        Ok(PrekeyVerified {
            identity: IdentityPublic::new(PublicKey::checked(*signing), agreement)?,
            counter: self.counter,
            max_body: self.max_body,
            signed_prekey_id: self.signed_prekey_id,
            signed_prekey: PublicKey::parse(p256, self.signed_prekey)?,
            suites: self.suites,
        })
    }
}

/// What an owner puts into a bundle.
#[derive(Clone, Copy, Debug)]
pub struct BundleFields<'a> {
    /// The owner's keys.
    pub identity: &'a IdentityPublic,
    /// Higher than every counter before.
    pub counter: u64,
    /// Largest body that the owner takes, bytes.
    pub max_body: u16,
    /// The signed prekey's name and point.
    pub signed_prekey: (u32, PublicKey),
}

impl BundleFields<'_> {
    /// Writes a bundle for suite 0x01 and has it signed; returns its length.
    ///
    /// # Errors
    /// [`BundleError::Wire`] where the buffer is too small, [`BundleError::Crypto`] where signing
    /// fails.
    pub fn sign(
        &self,
        buffer: &mut [u8],
        sign: impl FnOnce(&[u8; 32]) -> Result<Signature, CryptoError>,
    ) -> Result<usize, BundleError> {
        let mut w = Writer::new(buffer);
        w.put(&[KIND, VERSION])?;
        w.put(&self.identity.bytes())?;
        w.u64(self.counter)?;
        w.u16(self.max_body)?;
        w.u32(self.signed_prekey.0)?;
        w.put(self.signed_prekey.1.bytes())?;
        // Suite 0x01 has no further prekeys: the hash of nothing.
        w.put(&[1, SUITE])?;
        w.put(&sha256(&[]))?;
        let len = w.len();
        let signed = buffer.get(..len).ok_or(WireError::Length)?;
        let digest = sha256(&[label::BUNDLE, &self.identity.address().0, signed]);
        let signature = sign(&digest)?;
        let tail = buffer.get_mut(len..).ok_or(WireError::Length)?;
        Writer::new(tail).put(&signature.0)?;
        Ok(len + Signature::LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        crypto::Software,
        identity::{IdentityKeys as _, SoftwareIdentity},
    };

    fn bundle(seed: u8, counter: u64, buffer: &mut [u8]) -> (Address, usize) {
        let mut id = SoftwareIdentity::from_seed(&mut Software, &[seed; 32]).unwrap();
        let public = *id.public();
        let prekey = SoftwareIdentity::from_seed(&mut Software, &[99; 32]).unwrap();
        let fields = BundleFields {
            identity: &public,
            counter,
            max_body: 1024,
            signed_prekey: (7, *prekey.public().agreement()),
        };
        let len = fields
            .sign(buffer, |digest| id.sign(&mut Software, digest, &[]))
            .unwrap();
        (public.address(), len)
    }

    #[test]
    fn a_signed_bundle_verifies_for_its_owner_only() {
        let mut buffer = [0; MAX_LEN];
        let (owner, n) = bundle(1, 3, &mut buffer);
        assert_eq!(n, len(1));
        let parsed = Bundle::parse(&buffer[..n]).unwrap();
        let verified = parsed.verify(&mut Software, &owner).unwrap();
        assert_eq!((verified.counter, verified.signed_prekey_id), (3, 7));
        assert_eq!(
            parsed.verify(&mut Software, &Address([0; 20])).unwrap_err(),
            BundleError::WrongIdentity
        );
        assert!(verified.not_behind(3, &Suites::OURS).is_ok());
        assert_eq!(
            verified.not_behind(4, &Suites::OURS),
            Err(BundleError::RolledBack)
        );
        let more = Suites([SUITE, 2, 0, 0]);
        assert_eq!(verified.not_behind(1, &more), Err(BundleError::Stripped));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let mut buffer = [0; MAX_LEN];
        let (owner, n) = bundle(1, 3, &mut buffer);
        for bit in 0..n * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            let bad = Bundle::parse(&buffer[..n])
                .map_err(BundleError::from)
                .and_then(|parsed| parsed.verify(&mut Software, &owner));
            assert!(bad.is_err(), "bit {bit}");
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn one_length_only() {
        let mut buffer = [0; MAX_LEN + 16];
        let (_, n) = bundle(1, 3, &mut buffer);
        for other in (0..buffer.len()).filter(|other| *other != n) {
            assert!(Bundle::parse(&buffer[..other]).is_err(), "{other}");
        }
    }
}
