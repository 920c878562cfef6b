//! End-to-end encrypted messaging for a chip with 64 KiB of RAM: no std, no heap, no unsafe.
//!
//! Bytes in, bytes out. Nothing here opens a socket, reads a clock or keeps a global generator:
//! time and randomness are arguments, state goes through a [trait](storage::Storage), and every
//! buffer is the caller's.
//!
//! ```text
//!   application          host client, firmware, your device
//!        │  send, events
//!   ┌────┴─────────────────────────────────────────────────────────────┐
//!   │ endpoint   outbox, receipts, restarts: the whole device, sans-IO  │──> storage, snapshot
//!   ├───────────────────────────────────────────────────────────────────┤
//!   │ session    Double Ratchet, header encryption     handshake  X3DH  │<── prekey, peer
//!   ├───────────────────────────────────────────────────────────────────┤
//!   │ link       Noise XK to the relay                                  │
//!   │ wire       frames, envelopes, bundles            identity         │
//!   ├───────────────────────────────────────────────────────────────────┤
//!   │ crypto     P-256 behind a trait, HKDF, AES-256-GCM in place       │
//!   └───────────────────────────────────────────────────────────────────┘
//! ```
//! With feature `e2ee` off (a relay's build) nothing above the link exists.
//!
//! Where to begin: a program or a firmware drives an [`endpoint`]. A device that brings its own
//! delivery uses [`handshake`] and [`session`] alone:
//!
//! ```
//! use hushwire_core::{
//!     crypto::{KeyPair, Software},
//!     evidence,
//!     handshake::{Initiator, Received},
//!     identity::{IdentityKeys, SoftwareIdentity},
//!     session::{Content, Kind, Session},
//!     wire::{MessageId, bundle::{self, Bundle, BundleFields}, envelope::{Envelope, Opening}},
//! };
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! # let mut rng = ChaCha20Rng::seed_from_u64(1); // a device: its hardware generator
//! let mut p256 = Software;
//! let mut alice = SoftwareIdentity::generate(&mut p256, &mut rng)?;
//! let mut bob = SoftwareIdentity::generate(&mut p256, &mut rng)?;
//!
//! // Bob publishes a signed prekey.
//! let prekey = KeyPair::generate(&mut p256, &mut rng)?;
//! let mut buffer = [0; bundle::MAX_LEN];
//! let public = *bob.public();
//! let fields = BundleFields {
//!     identity: &public, counter: 1, max_body: 1024, signed_prekey: (7, *prekey.public()),
//! };
//! let len = fields.sign(&mut buffer, |digest| bob.sign(&mut p256, digest, &[]))?;
//!
//! // Alice knows Bob's address. She verifies, agrees, and seals her first message.
//! let verified = Bundle::parse(&buffer[..len])?.verify(&mut p256, &public.address())?;
//! let mut session: Session<32> = Initiator::new(alice.public(), &verified, 1024)?
//!     .start(&mut p256, &mut rng, &mut alice, None)?;
//! let hello = Content { kind: Kind::DATA, id: MessageId([1; 16]), body: b"hello" };
//! let mut out = [0; 512];
//! let sealed = session.seal(&mut p256, &mut rng, &hello, &mut out)?;
//! // It leaves only against evidence that the session was stored.
//! let envelope = evidence::after(
//!     &mut (),
//!     |()| Ok::<(), std::io::Error>(()), // write a snapshot of the session here
//!     |(), persisted| sealed.release(persisted),
//! )?;
//!
//! // Bob opens it.
//! let mut envelope = envelope.to_vec();
//! let copy = envelope.clone();
//! let Opening::Start(start) = Envelope::parse(&copy)?.opening else { unreachable!() };
//! let sender = Received::new(&mut p256, &copy, start)?.identify(&mut p256, &mut bob)?;
//! assert_eq!(sender.sender(), alice.public());
//! let accepted = sender.accept(&mut p256, &mut bob, (7, &prekey), None)?;
//! let (_session, opened) = accepted.open::<32>(&mut p256, &mut envelope)?;
//! assert_eq!(opened.content.body, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::float_arithmetic
    )
)]

#[cfg(test)]
extern crate std;

pub mod crypto;
#[cfg(feature = "e2ee")]
pub mod endpoint;
#[cfg(feature = "e2ee")]
pub mod evidence;
pub mod fingerprint;
#[cfg(feature = "e2ee")]
pub mod handshake;
pub mod identity;
#[cfg(feature = "e2ee")]
pub mod journal;
pub mod limits;
pub mod link;
#[cfg(feature = "e2ee")]
pub mod peer;
#[cfg(feature = "e2ee")]
pub mod prekey;
#[cfg(feature = "e2ee")]
mod ratchet;
#[cfg(feature = "e2ee")]
pub mod session;
#[cfg(feature = "e2ee")]
pub mod snapshot;
#[cfg(feature = "e2ee")]
pub mod storage;
pub mod wire;
