//! A device whose identity keys never leave a secure element: the driver to copy, and a conversation
//! over a chip that is simulated.
//!
//! ```sh
//! cargo run -p hushwire-core --example secure_element
//! ```
//! What a chip must do, and what stays outside of it, is in `docs/BACKENDS.md`.

mod chip;
mod driver;

use chip::Wire;
use driver::Element;
use hushwire_core::{
    crypto::{KeyPair, Software},
    evidence,
    handshake::{Initiator, Received},
    identity::{IdentityKeys as _, SoftwareIdentity},
    session::{Content, Kind, Session},
    wire::{
        MessageId,
        bundle::{Bundle, BundleFields, MAX_LEN},
        envelope::{Envelope, Opening},
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = ChaCha20Rng::seed_from_u64(1); // a device: its hardware generator
    // Everything but the identity keys is this chip's own software: ephemeral keys, prekeys, checks.
    let mut p256 = Software;

    // Bob is a device with an element. Its address follows from the keys inside.
    let mut bob = Element::connect(Wire::provision(7), &mut p256)?;
    let public = *bob.public();
    println!("the device's address: {}", public.address());

    // The element signs the bundle.
    let prekey = KeyPair::generate(&mut p256, &mut rng)?;
    let mut buffer = [0; MAX_LEN];
    let fields = BundleFields {
        identity: &public,
        counter: 1,
        max_body: 1024,
        signed_prekey: (1, *prekey.public()),
    };
    let len = fields.sign(&mut buffer, |digest| bob.sign(&mut p256, digest, &[]))?;

    // Alice is a person. She starts a session and writes.
    let mut alice = SoftwareIdentity::generate(&mut p256, &mut rng)?;
    let verified = Bundle::parse(&buffer[..len])?.verify(&mut p256, &public.address())?;
    let own = *alice.public();
    let mut session: Session<32> =
        Initiator::new(&own, &verified, 1024)?.start(&mut p256, &mut rng, &mut alice, None)?;
    let content = Content {
        kind: Kind::DATA,
        id: MessageId([1; 16]),
        body: b"led on",
    };
    let mut out = [0; 512];
    let sealed = session.seal(&mut p256, &mut rng, &content, &mut out)?;
    let stored = |(): &mut ()| Ok::<(), std::io::Error>(());
    let sent = evidence::after(&mut (), stored, |(), persisted| sealed.release(persisted))?;

    // The element agrees, and the device reads.
    let mut envelope = sent.to_vec();
    let Opening::Start(start) = Envelope::parse(sent)?.opening else {
        return Err("not a start".into());
    };
    let accepted = Received::new(&mut p256, sent, start)?
        .identify(&mut p256, &mut bob)?
        .accept(&mut p256, &mut bob, (1, &prekey), None)?;
    let (_session, opened) = accepted.open::<32>(&mut p256, &mut envelope)?;
    println!("it read: {}", String::from_utf8_lossy(opened.content.body));
    Ok(())
}
