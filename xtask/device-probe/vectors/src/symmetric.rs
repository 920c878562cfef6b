//! C1 on the device: what no backend changes. AES-GCM, HKDF and HMAC as this chip's compiler made
//! them.

use hushwire_core::crypto::{
    aead,
    kdf::{hkdf, hmac},
};

use crate::vectors::{AES_GCM, HKDF, HMAC};

/// The largest text of a vector in bytes, or output of HKDF.
const BUFFER: usize = 9 * 1024;

pub(crate) fn aes_gcm() -> usize {
    for case in AES_GCM {
        let [key, nonce, associated, plain, sealed, tag] = case.fields else {
            panic!("six fields");
        };
        let (key, nonce) = ((*key).try_into().unwrap(), (*nonce).try_into().unwrap());
        let tag = (*tag).try_into().unwrap();
        let mut buffer = [0; BUFFER];
        let buffer = &mut buffer[..sealed.len()];
        buffer.copy_from_slice(sealed);
        let opened = aead::open(key, nonce, associated, buffer, tag).is_ok();
        assert!(
            buffer == if opened { *plain } else { *sealed },
            "{}",
            case.id
        );
        if opened {
            assert_eq!(aead::seal(key, nonce, associated, buffer), *tag);
            assert!(buffer == *sealed);
        }
        case.decide("aes-gcm", opened);
    }
    AES_GCM.len()
}

pub(crate) fn hkdf_sha256() -> usize {
    for case in HKDF {
        let [salt, input, info, output, size] = case.fields else {
            panic!("five fields");
        };
        let size = u32::from_be_bytes((*size).try_into().unwrap()) as usize;
        let mut buffer = [0x5a; BUFFER];
        let buffer = &mut buffer[..size];
        hkdf(salt, input, &[info], buffer);
        // More than 255 blocks: the wrapper refuses with zeros.
        let outcome = if size > 255 * 32 {
            buffer.iter().any(|byte| *byte != 0)
        } else {
            buffer == *output
        };
        case.decide("hkdf", outcome);
    }
    HKDF.len()
}

pub(crate) fn hmac_sha256() -> usize {
    for case in HMAC {
        let [key, message, tag] = case.fields else {
            panic!("three fields");
        };
        case.decide("hmac", hmac(key, &[message])[..tag.len()] == **tag);
    }
    HMAC.len()
}
