//! Two identities, and what one of them has published.

use hushwire_core::crypto::{KeyPair, P256};
use hushwire_core::identity::{IdentityKeys as _, SoftwareIdentity};
use hushwire_core::wire::bundle::{BundleFields, MAX_LEN};

use crate::dice::Dice;

/// Largest body in bytes that both take.
pub(crate) const MAX_BODY: u16 = 1024;
pub(crate) const SIGNED_PREKEY: u32 = 7;
pub(crate) const ONE_TIME_PREKEY: u32 = 8;

/// Alice starts, Bob published.
pub(crate) struct People {
    pub(crate) alice: SoftwareIdentity,
    pub(crate) bob: SoftwareIdentity,
    pub(crate) signed: KeyPair,
    pub(crate) one_time: KeyPair,
    pub(crate) bundle: [u8; MAX_LEN],
    pub(crate) bundle_len: usize,
}

impl People {
    #[inline(never)]
    pub(crate) fn new(mut curve: impl P256) -> Self {
        let mut dice = Dice::new(2);
        let alice = SoftwareIdentity::from_seed(&mut curve, &[1; 32]).unwrap();
        let mut bob = SoftwareIdentity::from_seed(&mut curve, &[2; 32]).unwrap();
        let signed = KeyPair::generate(&mut curve, &mut dice).unwrap();
        let one_time = KeyPair::generate(&mut curve, &mut dice).unwrap();
        let public = *bob.public();
        let fields = BundleFields {
            identity: &public,
            counter: 1,
            max_body: MAX_BODY,
            signed_prekey: (SIGNED_PREKEY, *signed.public()),
        };
        let mut bundle = [0; MAX_LEN];
        let bundle_len = fields
            .sign(&mut bundle, |digest| bob.sign(&mut curve, digest, &[]))
            .unwrap();
        Self {
            alice,
            bob,
            signed,
            one_time,
            bundle,
            bundle_len,
        }
    }
}
