//! Noise's symmetric state: transcript hash, chaining key and cipher key. Noise 5.2

use super::{HandshakeError, PATTERN_XK, POINT_LEN, cipher::nonce};
use crate::{
    crypto::{
        SharedSecret,
        aead::{self, TAG_LEN},
        kdf::{hkdf, label, sha256},
        secret::secret,
    },
    wire::{SUITE, VERSION},
};

/// Not above 32 bytes, so it is the first hash itself, padded with zeros. Noise 5.2
const NAME: &[u8] = b"Noise_XK_P256_AESGCM_SHA256";

secret! {
    /// Makes every later key. Noise 5.2 `ck`
    struct ChainingKey([u8; 32]);
}

secret! {
    /// Encrypts handshake payloads, or one direction of the transport. Noise 5.1 `k`
    pub(super) struct CipherKey([u8; 32]);
}

secret! {
    /// Two keys, as they are derived.
    struct Derived([u8; 64]);
}

/// The symmetric state of XK from its first key on. XK begins with `e, es`, so a state without a
/// cipher key, which would send plaintext, does not exist here.
#[derive(Debug)]
pub(super) struct SymmetricState {
    hash: [u8; 32],
    chaining: ChainingKey,
    key: CipherKey,
    counter: u64,
}

impl SymmetricState {
    /// Everything up to the first payload: name, prologue, the responder's static key, `e, es`.
    pub(super) fn begin(
        responder: &[u8; POINT_LEN],
        ephemeral: &[u8; POINT_LEN],
        es: &SharedSecret,
    ) -> Self {
        let mut name = [0; 32];
        name.iter_mut()
            .zip(NAME)
            .for_each(|(slot, byte)| *slot = *byte);
        let mut state = Self {
            hash: name,
            chaining: ChainingKey::new(name),
            key: CipherKey::new([0; 32]),
            counter: 0,
        };
        // The prologue: both sides mean the same protocol, version, suite and pattern.
        state.hash = sha256(&[&state.hash, label::LINK, &[VERSION, SUITE, PATTERN_XK]]);
        state.mix_hash(responder);
        state.mix_hash(ephemeral);
        state.mix_key(es);
        state
    }

    /// `MixHash`. Noise 5.2
    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = sha256(&[&self.hash, data]);
    }

    /// `MixKey`. Noise 5.2
    pub(super) fn mix_key(&mut self, dh: &SharedSecret) {
        let (chaining, key) = self.derive(dh.bytes());
        self.chaining = chaining;
        self.key = key;
        self.counter = 0;
    }

    /// `EncryptAndHash`, in place. Noise 5.2
    pub(super) fn encrypt_and_hash(&mut self, buffer: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = aead::seal(self.key.bytes(), &nonce(self.counter), &self.hash, buffer);
        self.hash = sha256(&[&self.hash, buffer, &tag]);
        self.advance();
        tag
    }

    /// `DecryptAndHash`, in place. Noise 5.2
    pub(super) fn decrypt_and_hash(
        &mut self,
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), HandshakeError> {
        // The hash is over the ciphertext, which opening in place overwrites.
        let hash = sha256(&[&self.hash, buffer, tag]);
        aead::open(
            self.key.bytes(),
            &nonce(self.counter),
            &self.hash,
            buffer,
            tag,
        )
        .map_err(|_| HandshakeError::Refused)?;
        self.hash = hash;
        self.advance();
        Ok(())
    }

    /// At most two payloads share a key in XK: the counter cannot come near its end.
    fn advance(&mut self) {
        self.counter = self.counter.saturating_add(1);
    }

    /// `Split`: the initiator's sending key, then the responder's. Noise 5.2
    pub(super) fn split(self) -> (CipherKey, CipherKey) {
        let (first, second) = self.derive(&[]);
        (CipherKey::new(*first.bytes()), second)
    }

    /// Noise's HKDF with two outputs is RFC 5869's with empty info. Noise 4.3
    fn derive(&self, input: &[u8]) -> (ChainingKey, CipherKey) {
        let out = Derived::made(|out| hkdf(self.chaining.bytes(), input, &[], out));
        match out.bytes().as_chunks::<32>() {
            ([first, second], _) => (ChainingKey::new(*first), CipherKey::new(*second)),
            // 64 bytes are two times 32.
            _ => (ChainingKey::new([0; 32]), CipherKey::new([0; 32])),
        }
    }
}
