//! C1 on the device: the curve's vectors, as `core-nostd/tests/c1_wycheproof.rs` decides them on the
//! host.

use hushwire_core::{
    crypto::{CryptoError, P256, PublicKey, SecretKey, SharedSecret, Signature, kdf::sha256},
    link::{FLIGHT_1_LEN, Initiator, LinkLimits},
};

use crate::{
    script::Script,
    vectors::{ECDH, ECDSA},
};

/// A scalar as Wycheproof writes integers: any number of leading zeros, or none.
fn scalar(curve: &mut impl P256, bytes: &[u8]) -> SecretKey {
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let mut scalar = [0; 32];
    scalar[32 - digits.len()..].copy_from_slice(digits);
    SecretKey::from_bytes(curve, &scalar).expect("private keys are good in every vector")
}

/// A point through the entry that takes its length; `None` where no entry does.
fn point(curve: &mut impl P256, bytes: &[u8]) -> Option<PublicKey> {
    if let Ok(uncompressed) = <&[u8; 65]>::try_from(bytes) {
        curve.compress(uncompressed).ok()
    } else if let Ok(compressed) = <&[u8; 33]>::try_from(bytes) {
        PublicKey::parse(curve, compressed).ok()
    } else {
        None
    }
}

/// A backend with one agreement that was made before and no arithmetic.
struct Agreed(Option<SharedSecret>);

/// Any point: the generator (SP 800-186 3.2.1.3).
const ANY: [u8; 33] = [
    0x03, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96,
];

impl P256 for Agreed {
    fn agree(&mut self, _: &SecretKey, _: &PublicKey) -> Result<SharedSecret, CryptoError> {
        self.0.take().ok_or(CryptoError::Backend)
    }

    fn is_scalar(&mut self, _: &[u8; 32]) -> bool {
        true
    }

    fn public_key(&mut self, _: &SecretKey) -> Result<PublicKey, CryptoError> {
        Ok(PublicKey::from_backend(ANY))
    }

    fn sign(&mut self, _: &SecretKey, _: &[u8; 32], _: &[u8]) -> Result<Signature, CryptoError> {
        Err(CryptoError::Backend)
    }

    fn verify(&mut self, _: &PublicKey, _: &[u8; 32], _: &Signature) -> Result<(), CryptoError> {
        Err(CryptoError::Backend)
    }

    fn expand(&mut self, _: &PublicKey) -> Result<[u8; 65], CryptoError> {
        Ok([4; 65])
    }

    fn compress(&mut self, _: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        Err(CryptoError::Backend)
    }
}

/// The core shows a shared secret to nobody. What it makes of one can be seen: the first message of a
/// link whose every other input is fixed ends in a tag under a key derived from it.
pub(crate) fn trace(shared: SharedSecret) -> [u8; FLIGHT_1_LEN] {
    let limits = LinkLimits::new(1400, 1382, 1).unwrap();
    let mut out = [0; FLIGHT_1_LEN];
    Initiator::new(PublicKey::from_backend(ANY), limits)
        .write_message_1(
            &mut Agreed(Some(shared)),
            &mut Script::new(&[1; 32]),
            &mut out,
        )
        .unwrap();
    out
}

pub(crate) fn ecdh(mut curve: impl P256) -> usize {
    for case in ECDH {
        let [public, private, shared] = case.fields else {
            panic!("three fields");
        };
        let secret = scalar(&mut curve, private);
        let agreed = point(&mut curve, public).and_then(|key| curve.agree(&secret, &key).ok());
        let expected = || trace(SharedSecret::from_backend((*shared).try_into().unwrap()));
        case.decide(
            "ecdh",
            agreed.is_some_and(|agreed| trace(agreed) == expected()),
        );
    }
    ECDH.len()
}

pub(crate) fn ecdsa(mut curve: impl P256) -> usize {
    for case in ECDSA {
        let [key, message, signature] = case.fields else {
            panic!("three fields");
        };
        let key = point(&mut curve, key).expect("public keys are good");
        let verified = <[u8; 64]>::try_from(*signature).is_ok_and(|signature| {
            let digest = sha256(&[message]);
            curve.verify(&key, &digest, &Signature(signature)).is_ok()
        });
        case.decide("ecdsa", verified);
    }
    ECDSA.len()
}

/// The signatures of RFC 6979 A.2.5 with SHA-256.
pub(crate) fn rfc6979(mut curve: impl P256) -> usize {
    const SECRET: &str = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
    const EXPECTED: [(&str, &str, &str); 2] = [
        (
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ];
    let secret = scalar(&mut curve, &hex::<32>(SECRET));
    for (message, r, s) in EXPECTED {
        let digest = sha256(&[message.as_bytes()]);
        let signature = curve.sign(&secret, &digest, &[]).unwrap();
        let (ours, _) = signature.0.as_chunks::<32>();
        assert_eq!(ours, [hex(r), hex(s)]);
    }
    EXPECTED.len()
}

/// Bytes of a text of hexadecimal digits.
pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}
