//! The two backends side by side: the same answer to every question, bad ones included.

use hushwire_core::crypto::{P256, PublicKey, SecretKey, Software, kdf::sha256};
use hushwire_p256_cortex_m4::CortexM4;

use crate::wycheproof::{hex, trace};

/// n (SP 800-186 3.2.1.3).
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// p.
const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

pub(crate) fn compare() -> usize {
    scalars() + points() + keys()
}

/// `number + difference` in the last byte, which never carries here.
fn near(text: &str, difference: i8) -> [u8; 32] {
    let mut bytes = hex(text);
    bytes[31] = bytes[31].wrapping_add_signed(difference);
    bytes
}

/// The edges of 1..n.
fn scalars() -> usize {
    let edges = [
        ([0; 32], false),
        (near(ORDER, -1), true),
        (hex(ORDER), false),
        (near(ORDER, 1), false),
        ([0xff; 32], false),
        (
            near(
                "00000000000000000000000000000000000000000000000000000000000000ff",
                2,
            ),
            true,
        ),
    ];
    for (bytes, good) in edges {
        assert_eq!(Software.is_scalar(&bytes), good);
        assert_eq!(CortexM4.is_scalar(&bytes), good);
    }
    edges.len()
}

/// Encodings of x from 0, near p and beyond, under every first byte.
fn points() -> usize {
    let mut count = 0;
    let mut long = 0;
    for tag in 0..=255 {
        for x in [[0; 32], near(PRIME, -3), hex(PRIME), [0xff; 32]] {
            let mut bytes = [tag; 33];
            bytes[1..].copy_from_slice(&x);
            let one = PublicKey::parse(&mut Software, &bytes);
            assert_eq!(one, PublicKey::parse(&mut CortexM4, &bytes));
            assert!(one.is_err() || [2, 3].contains(&tag));
            count += 1;
        }
    }
    for x in 0..64 {
        let mut bytes = [0; 33];
        (bytes[0], bytes[32]) = (2 + x % 2, x);
        let key = PublicKey::from_backend(bytes);
        let one = Software.expand(&key);
        assert_eq!(one, CortexM4.expand(&key));
        // Back again, and with a first byte or a coordinate that is not its own.
        if let Ok(good) = one {
            for (at, flip) in [(0, 0), (0, 2), (0, 3), (1, 0x80), (64, 1)] {
                let mut bytes = good;
                bytes[at] ^= flip;
                let one = Software.compress(&bytes);
                assert_eq!(one, CortexM4.compress(&bytes));
                assert_eq!(one.is_ok(), flip == 0);
            }
            long += 1;
        }
        count += 1;
    }
    assert!((16..48).contains(&long), "about half of all x have a point");
    count
}

/// Keys, agreements and signatures of twelve seeds; the digests' range includes n and more.
fn keys() -> usize {
    const SEEDS: u8 = 12;
    for seed in 0..SEEDS {
        let scalar = sha256(&[&[seed]]);
        let secret = SecretKey::from_bytes(&mut Software, &scalar).unwrap();
        let public = Software.public_key(&secret).unwrap();
        assert_eq!(CortexM4.public_key(&secret), Ok(public));

        let other = SecretKey::from_bytes(&mut Software, &sha256(&[&[seed, 1]])).unwrap();
        let peer = CortexM4.public_key(&other).unwrap();
        let one = Software.agree(&secret, &peer).unwrap();
        assert_eq!(trace(one), trace(CortexM4.agree(&secret, &peer).unwrap()));

        let digest = match seed {
            0 => [0; 32],
            1 => hex(ORDER),
            2 => [0xff; 32],
            _ => sha256(&[&scalar]),
        };
        let added = &scalar[..usize::from(seed) * 2];
        let signature = Software.sign(&secret, &digest, added).unwrap();
        assert_eq!(CortexM4.sign(&secret, &digest, added), Ok(signature));
        assert_eq!(Software.verify(&public, &digest, &signature), Ok(()));
        assert_eq!(CortexM4.verify(&public, &digest, &signature), Ok(()));
        assert!(CortexM4.verify(&peer, &digest, &signature).is_err());
    }
    usize::from(SEEDS)
}
