//! The curve alone: what the larger figures are made of.

use core::hint::black_box;

use hushwire_core::crypto::{KeyPair, P256};

use crate::{dice::Dice, meter::Meter};

/// Each function of the trait.
#[inline(never)]
pub(crate) fn measure(meter: &mut Meter, mut curve: impl P256) {
    let mut dice = Dice::new(1);
    let ours = KeyPair::generate(&mut curve, &mut dice).unwrap();
    let theirs = KeyPair::generate(&mut curve, &mut dice).unwrap();
    let digest = black_box([0x5a; 32]);

    meter.run("p256_public_key", || {
        curve.public_key(ours.secret()).unwrap()
    });
    meter.run("p256_agree", || {
        curve.agree(ours.secret(), theirs.public()).unwrap()
    });
    let signature = meter.run("p256_sign", || {
        curve.sign(ours.secret(), &digest, &[7; 32]).unwrap()
    });
    meter.run("p256_verify", || {
        curve.verify(ours.public(), &digest, &signature).unwrap();
    });
    let long = meter.run("p256_expand", || curve.expand(ours.public()).unwrap());
    meter.run("p256_compress", || curve.compress(&long).unwrap());
}
