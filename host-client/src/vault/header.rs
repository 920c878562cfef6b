//! The one record in the clear: the format, how the storage key is sealed, and the sealed key.
//!
//! ```text
//! format u16 ‖ postcard(stretch, sealed storage key) ‖ first 8 bytes of SHA-256 of all before
//! ```
//! The check sum is no protection: it tells a wrong passphrase from a damaged disk.

use hushwire_core::snapshot::{HEADROOM, OVERHEAD, StorageKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Unlock, VaultError, unlock::Stretch};

/// The format that this build writes: also the epoch under which it seals.
pub(crate) const FORMAT: u16 = 1;

const SLOT: &[u8] = b"vault storage key";
const CHECK_LEN: usize = 8;

/// The key of every record, and what remains for the index.
pub(super) type RawKey = Zeroizing<[u8; 32]>;

#[derive(Debug, Serialize, Deserialize)]
struct Body {
    stretch: Stretch,
    sealed: Vec<u8>,
}

/// Seals `key` under `unlock`.
pub(super) fn seal(
    format: u16,
    key: &RawKey,
    unlock: &Unlock,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, VaultError> {
    let stretch = Stretch::fresh(unlock)?;
    let mut sealed = vec![0; key.len() + OVERHEAD];
    sealed[HEADROOM..HEADROOM + key.len()].copy_from_slice(&**key);
    let failed = |_| VaultError::damaged("the header does not seal");
    stretch
        .key(unlock)?
        .seal(rng, SLOT, u64::from(format), &mut sealed)
        .map_err(failed)?;
    let mut bytes = format.to_be_bytes().to_vec();
    let body = postcard::to_allocvec(&Body { stretch, sealed });
    bytes.extend(body.map_err(|_| VaultError::damaged("the header does not encode"))?);
    let check = Sha256::digest(&bytes);
    bytes.extend_from_slice(&check[..CHECK_LEN]);
    Ok(bytes)
}

/// The format of a header, before anything else of it is believed.
pub(super) fn format(bytes: &[u8]) -> Result<u16, VaultError> {
    let first = bytes
        .first_chunk()
        .ok_or_else(|| VaultError::damaged("its header is cut off"))?;
    match u16::from_be_bytes(*first) {
        found if found > FORMAT => Err(VaultError::Newer {
            found,
            known: FORMAT,
        }),
        found => Ok(found),
    }
}

/// Opens the storage key.
pub(super) fn open(bytes: &[u8], unlock: &Unlock) -> Result<RawKey, VaultError> {
    let format = format(bytes)?;
    let damaged = || VaultError::damaged("its header");
    let (head, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or_else(damaged)?;
    if Sha256::digest(head)[..CHECK_LEN] != check[..] {
        return Err(damaged());
    }
    let body = head.get(2..).ok_or_else(damaged)?;
    let Body {
        stretch,
        mut sealed,
    } = postcard::from_bytes(body).map_err(|_| damaged())?;
    let wrapping: StorageKey = stretch.key(unlock)?;
    let opened = wrapping.open(SLOT, u64::from(format), &mut sealed);
    let opened = opened.map_err(|_| unlock.wrong())?;
    let key = (&*opened)
        .try_into()
        .map(Zeroizing::new)
        .map_err(|_| damaged());
    zeroize::Zeroize::zeroize(&mut sealed);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::OsRng;

    #[test]
    fn a_wrong_passphrase_is_told_from_damage() {
        let unlock = Unlock::passphrase("right");
        let key = Zeroizing::new([7; 32]);
        let bytes = seal(FORMAT, &key, &unlock, &mut OsRng::default()).unwrap();
        assert_eq!(*open(&bytes, &unlock).unwrap(), *key);
        let wrong = open(&bytes, &Unlock::passphrase("wrong"));
        assert!(matches!(wrong, Err(VaultError::WrongPassphrase)));
        for at in 2..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(
                matches!(open(&bad, &unlock), Err(VaultError::Damaged(_))),
                "byte {at}"
            );
        }
        let mut newer = bytes.clone();
        newer[1] = 2;
        assert!(matches!(
            open(&newer, &unlock),
            Err(VaultError::Newer { found: 2, known: 1 })
        ));
        assert!(open(&bytes[..bytes.len() - 1], &unlock).is_err());
    }
}
