//! Cryptography behind narrow doors: P-256 keys, the table of derivations, AES-256-GCM in place.
//!
//! Nothing here is a primitive of our own: the arithmetic is RustCrypto's, or a chip's through
//! [`P256`]. What this module adds is types that cannot be mixed up and refuse what the protocol
//! refuses.

pub mod aead;
pub mod backend;
pub mod kdf;
pub mod keys;
pub(crate) mod secret;

pub use backend::{P256, Software};
pub use keys::{CryptoError, KeyPair, PublicKey, SecretKey, SharedSecret, Signature};
