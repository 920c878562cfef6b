//! Identities and bundles.

use core::hint::black_box;

use hushwire_core::crypto::P256;
use hushwire_core::identity::{Address, IdentityKeys as _, IdentityPublic, SoftwareIdentity};
use hushwire_core::wire::bundle::{Bundle, BundleFields, MAX_LEN, Suites};

use crate::input::{Counter, array, bytes};

/// Makes an identity, restores one, and reads a peer's.
#[inline(never)]
pub fn exercise(mut curve: impl P256) -> Option<()> {
    let mut identity = SoftwareIdentity::generate(&mut curve, &mut Counter).ok()?;
    black_box(SoftwareIdentity::from_seed(&mut curve, &array()).ok()?);
    black_box(IdentityPublic::parse(&mut curve, &array()).ok()?.address());
    bundle(curve, &mut identity)
}

/// Signs a bundle and verifies one.
#[inline(never)]
fn bundle(mut curve: impl P256, identity: &mut SoftwareIdentity) -> Option<()> {
    let public = *identity.public();
    let fields = BundleFields {
        identity: &public,
        counter: black_box(1),
        max_body: black_box(1024),
        signed_prekey: (black_box(1), *public.agreement()),
    };
    let mut buffer = [0; MAX_LEN];
    let sign = |digest: &[u8; 32]| identity.sign(&mut curve, digest, bytes());
    black_box(fields.sign(&mut buffer, sign).ok()?);
    let owner = Address(array());
    let verified = Bundle::parse(bytes())
        .ok()?
        .verify(&mut curve, &owner)
        .ok()?;
    verified
        .not_behind(black_box(1), &Suites::from_bytes(array()))
        .ok()?;
    black_box(verified);
    Some(())
}
