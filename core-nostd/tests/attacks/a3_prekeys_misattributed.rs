//! A3: a prekey with the wrong signer, in the wrong role, or of another version or suite is refused.

use hushwire_core::{
    crypto::{CryptoError, Software},
    handshake::{Initiator, StartError},
    identity::{Address, IdentityKeys as _},
    wire::{
        WireError,
        bundle::{Bundle, BundleError},
    },
};

use crate::common::{Party, identity, lab::sign_bundle};

const SIGNATURE: usize = 64;

fn unsigned(party: &mut Party) -> Vec<u8> {
    let mut bundle = party.bundle();
    bundle.truncate(bundle.len() - SIGNATURE);
    bundle
}

fn verify(bundle: &[u8], owner: &Address) -> Result<(), BundleError> {
    Bundle::parse(bundle)?
        .verify(&mut Software, owner)
        .map(|_| ())
}

#[test]
fn the_wrong_signer() {
    let mut bob = Party::new(2);
    let owner = bob.public.address();
    let unsigned = unsigned(&mut bob);
    assert_eq!(
        verify(&sign_bundle(&mut identity(2), &owner, &unsigned), &owner),
        Ok(())
    );
    for other in 3..20 {
        let bundle = sign_bundle(&mut identity(other), &owner, &unsigned);
        assert_eq!(
            verify(&bundle, &owner),
            Err(BundleError::Crypto(CryptoError::BadSignature))
        );
    }
    // Bob's own signature, made for another address: a relay cannot move it.
    let elsewhere = Party::new(3).public.address();
    let bundle = sign_bundle(&mut identity(2), &elsewhere, &unsigned);
    assert!(verify(&bundle, &owner).is_err() && verify(&bundle, &elsewhere).is_err());
}

#[test]
fn the_wrong_role() {
    let mut bob = Party::new(2);
    let owner = bob.public.address();
    let good = unsigned(&mut bob);
    // Signing and agreement keys in each other's place.
    let mut swapped = good.clone();
    swapped[2..35].copy_from_slice(&good[35..68]);
    swapped[35..68].copy_from_slice(&good[2..35]);
    let bundle = sign_bundle(&mut identity(2), &owner, &swapped);
    assert_eq!(verify(&bundle, &owner), Err(BundleError::WrongIdentity));
    // One key in both roles.
    for (from, to) in [(2, 35), (35, 2)] {
        let mut doubled = good.clone();
        doubled.copy_within(from..from + 33, to);
        let bundle = sign_bundle(&mut identity(2), &owner, &doubled);
        assert!(verify(&bundle, &owner).is_err());
    }
    // The initiator's own keys as the signed prekey: a reflection.
    let alice = identity(1);
    for own in [alice.public().signing(), alice.public().agreement()] {
        let mut reflected = good.clone();
        reflected[82..115].copy_from_slice(own.bytes());
        let bundle = sign_bundle(&mut identity(2), &owner, &reflected);
        let verified = Bundle::parse(&bundle)
            .unwrap()
            .verify(&mut Software, &owner)
            .unwrap();
        let refused = Initiator::new(alice.public(), &verified, 1024).err();
        assert_eq!(refused, Some(StartError::OwnKey));
    }
    // Our own bundle given back.
    let own = Party::new(1).verified();
    assert_eq!(
        Initiator::new(alice.public(), &own, 1024).err(),
        Some(StartError::OwnKey)
    );
}

#[test]
fn a_signature_of_another_role_is_no_bundle_s() {
    let mut bob = Party::new(2);
    let owner = bob.public.address();
    let unsigned = unsigned(&mut bob);
    let plain = hushwire_core::crypto::kdf::sha256(&[&unsigned]);
    let unnamed =
        hushwire_core::crypto::kdf::sha256(&[hushwire_core::crypto::kdf::label::BUNDLE, &unsigned]);
    for digest in [plain, unnamed] {
        let signature = identity(2).sign(&mut Software, &digest, &[]).unwrap();
        let bundle = [&unsigned[..], &signature.0].concat();
        assert_eq!(
            verify(&bundle, &owner),
            Err(BundleError::Crypto(CryptoError::BadSignature))
        );
    }
}

#[test]
fn another_version_kind_or_suite_though_well_signed() {
    let mut bob = Party::new(2);
    let owner = bob.public.address();
    let good = unsigned(&mut bob);
    let mut tried = 0;
    for (at, right, error) in [
        (0, 0x42, WireError::Unknown),
        (1, 0x01, WireError::Version),
        (116, 0x01, WireError::Suite),
    ] {
        for byte in (0..=u8::MAX).filter(|byte| *byte != right) {
            let mut bytes = good.clone();
            assert_eq!(bytes[at], right);
            bytes[at] = byte;
            let bundle = sign_bundle(&mut identity(2), &owner, &bytes);
            let error = if at == 116 && byte == 0 {
                WireError::Value
            } else {
                error
            };
            assert_eq!(verify(&bundle, &owner), Err(BundleError::Wire(error)));
            tried += 1;
        }
    }
    println!("{tried} well-signed bundles of other kinds, versions and suites refused");
}
