//! The trait, by the library's functions.

use hushwire_core::crypto::{CryptoError, P256, PublicKey, SecretKey, SharedSecret, Signature};
use rfc6979::{KGenerator, bigint::U256};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::library::{self, Point, Words};

/// The group's order n (SP 800-186 3.2.1.3).
const ORDER: U256 =
    U256::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

/// How many nonces are tried: one is no good with probability 2^-32 or less.
const NONCES: usize = 4;

/// P-256 by hand-written assembly. See the crate for the chips on which it may be used.
#[derive(Clone, Copy, Debug, Default)]
pub struct CortexM4;

/// Big-endian bytes as the library's words.
fn words(bytes: &[u8; 32]) -> Words {
    let mut words = Words::default();
    for (word, four) in words.iter_mut().rev().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*four);
    }
    words
}

/// The library's words as big-endian bytes, into a part of an encoding.
fn write(words: &Words, bytes: &mut [u8]) {
    for (word, four) in words.iter().rev().zip(bytes.as_chunks_mut::<4>().0) {
        *four = word.to_be_bytes();
    }
}

fn scalar(secret: &SecretKey) -> Result<Zeroizing<Words>, CryptoError> {
    let scalar = Zeroizing::new(words(secret.expose()));
    if library::is_scalar(&scalar) {
        Ok(scalar)
    } else {
        Err(CryptoError::Backend)
    }
}

fn point(key: &PublicKey) -> Result<Point, CryptoError> {
    match key.bytes() {
        [0x02 | 0x03, ..] => library::decode(key.bytes()).ok_or(CryptoError::InvalidKey),
        _ => Err(CryptoError::InvalidKey),
    }
}

/// SEC 1 2.3.3, compressed.
fn canonical(point: &Point) -> PublicKey {
    let mut bytes = [0; PublicKey::LEN];
    let [tag, x @ ..] = &mut bytes;
    *tag = 0x02 | u8::from(point.y[0] & 1 == 1);
    write(&point.x, x);
    PublicKey::from_backend(bytes)
}

impl P256 for CortexM4 {
    fn is_scalar(&mut self, bytes: &[u8; 32]) -> bool {
        library::is_scalar(&Zeroizing::new(words(bytes)))
    }

    fn public_key(&mut self, secret: &SecretKey) -> Result<PublicKey, CryptoError> {
        library::base_multiple(&*scalar(secret)?)
            .map(|point| canonical(&point))
            .ok_or(CryptoError::Backend)
    }

    fn agree(&mut self, secret: &SecretKey, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        let scalar = scalar(secret)?;
        library::multiple_x(&scalar, &point(peer)?)
            .map(SharedSecret::from_backend)
            .ok_or(CryptoError::InvalidKey)
    }

    fn sign(
        &mut self,
        secret: &SecretKey,
        digest: &[u8; 32],
        added: &[u8],
    ) -> Result<Signature, CryptoError> {
        let scalar = scalar(secret)?;
        // RFC 6979 3.2, with the added data of 3.6.
        let mut nonces = KGenerator::<Sha256, U256>::new(secret.expose(), digest, added, &ORDER);
        for _ in 0..NONCES {
            let mut nonce = Zeroizing::new([0; 32]);
            nonces.fill_next_k(&mut *nonce);
            let nonce = Zeroizing::new(words(&nonce));
            if let Some((r, s)) = library::sign(digest, &scalar, &nonce) {
                let mut bytes = [0; Signature::LEN];
                let (first, second) = bytes.split_at_mut(32);
                write(&r, first);
                write(&s, second);
                return Ok(Signature(bytes));
            }
        }
        Err(CryptoError::Backend)
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let key = point(key)?;
        let ([r, s], _) = signature.0.as_chunks::<32>() else {
            return Err(CryptoError::BadSignature);
        };
        if library::verify(&key, digest, &words(r), &words(s)) {
            Ok(())
        } else {
            Err(CryptoError::BadSignature)
        }
    }

    fn expand(&mut self, key: &PublicKey) -> Result<[u8; 65], CryptoError> {
        let point = point(key)?;
        let mut bytes = [0x04; 65];
        let [_, coordinates @ ..] = &mut bytes;
        let (x, y) = coordinates.split_at_mut(32);
        write(&point.x, x);
        write(&point.y, y);
        Ok(bytes)
    }

    fn compress(&mut self, bytes: &[u8; 65]) -> Result<PublicKey, CryptoError> {
        match bytes {
            [0x04, ..] => library::decode(bytes)
                .map(|point| canonical(&point))
                .ok_or(CryptoError::InvalidKey),
            _ => Err(CryptoError::InvalidKey),
        }
    }
}
