//! Identities and bundles.

use core::hint::black_box;

use hushwire_core::crypto::Software;
use hushwire_core::identity::{Address, IdentityKeys as _, IdentityPublic, SoftwareIdentity};
use hushwire_core::wire::bundle::{Bundle, BundleFields, MAX_LEN, Suites};

use crate::input::{Counter, array, bytes};

/// Makes an identity, restores one, and reads a peer's.
#[inline(never)]
pub fn exercise() -> Option<()> {
    let mut identity = SoftwareIdentity::generate(&mut Software, &mut Counter).ok()?;
    black_box(SoftwareIdentity::from_seed(&mut Software, &array()).ok()?);
    black_box(
        IdentityPublic::parse(&mut Software, &array())
            .ok()?
            .address(),
    );
    bundle(&mut identity)
}

/// Signs a bundle and verifies one.
#[inline(never)]
fn bundle(identity: &mut SoftwareIdentity) -> Option<()> {
    let public = *identity.public();
    let fields = BundleFields {
        identity: &public,
        counter: black_box(1),
        max_body: black_box(1024),
        signed_prekey: (black_box(1), *public.agreement()),
    };
    let mut buffer = [0; MAX_LEN];
    let sign = |digest: &[u8; 32]| identity.sign(&mut Software, digest, bytes());
    black_box(fields.sign(&mut buffer, sign).ok()?);
    let owner = Address(array());
    let verified = Bundle::parse(bytes())
        .ok()?
        .verify(&mut Software, &owner)
        .ok()?;
    verified
        .not_behind(black_box(1), &Suites::from_bytes(array()))
        .ok()?;
    black_box(verified);
    Some(())
}
