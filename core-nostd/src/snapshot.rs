//! Records at rest: sealed, versioned, bound to their slot and epoch. PROTOCOL 8.1
//!
//! ```text
//! version ‖ salt 16 ‖ sealed bytes ‖ tag 16        key ‖ nonce = HKDF(salt, storage key, RECORD ‖ slot ‖ epoch)
//! ```

use rand_core::CryptoRng;

use crate::{
    crypto::{
        aead::{OneTimeKey, TAG_LEN},
        kdf::{hkdf, label},
        secret::secret,
    },
    session::StateError,
    wire::VERSION,
};

const SALT_LEN: usize = 16;
/// Bytes before the contents.
pub const HEADROOM: usize = 1 + SALT_LEN;
/// Bytes that a record is longer than its contents.
pub const OVERHEAD: usize = HEADROOM + TAG_LEN;

secret! {
    /// The key of everything that a device keeps.
    pub struct StorageKey([u8; 32]);
}

impl StorageKey {
    /// Takes a key from a passphrase's derivation, a key file, or a chip's protected memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn record_key(&self, salt: &[u8], slot: &[u8], epoch: u64) -> OneTimeKey {
        let slot_len = (slot.len() as u64).to_be_bytes();
        let info: [&[u8]; 4] = [label::RECORD, &slot_len, slot, &epoch.to_be_bytes()];
        OneTimeKey::made(|key| hkdf(salt, self.bytes(), &info, key))
    }

    /// Seals a record in place: its contents stand at [`HEADROOM`], `buffer` is [`OVERHEAD`] bytes
    /// longer than they are. `slot` names the record, `epoch` its generation.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is shorter than [`OVERHEAD`].
    pub fn seal(
        &self,
        rng: &mut impl CryptoRng,
        slot: &[u8],
        epoch: u64,
        buffer: &mut [u8],
    ) -> Result<(), StateError> {
        let (head, rest) = buffer
            .split_first_chunk_mut::<HEADROOM>()
            .ok_or(StateError)?;
        let (contents, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(StateError)?;
        let [version, salt @ ..] = head;
        *version = VERSION;
        rng.fill_bytes(salt);
        *tag = self
            .record_key(salt, slot, epoch)
            .seal(&[VERSION], contents);
        Ok(())
    }

    /// Opens a record in place and returns its contents.
    ///
    /// # Errors
    /// [`StateError`]: damaged, another slot's, another epoch's, or under another key.
    pub fn open<'b>(
        &self,
        slot: &[u8],
        epoch: u64,
        buffer: &'b mut [u8],
    ) -> Result<&'b mut [u8], StateError> {
        let (head, rest) = buffer
            .split_first_chunk_mut::<HEADROOM>()
            .ok_or(StateError)?;
        let (contents, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(StateError)?;
        let [version, salt @ ..] = head;
        if *version != VERSION {
            return Err(StateError);
        }
        self.record_key(salt, slot, epoch)
            .open(&[VERSION], contents, tag)
            .map_err(|_| StateError)?;
        Ok(contents)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn a_record_opens_in_its_slot_and_epoch_only() {
        let key = StorageKey::from_bytes([1; 32]);
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let mut record = [0; 5 + OVERHEAD];
        record[HEADROOM..HEADROOM + 5].copy_from_slice(b"state");
        key.seal(&mut rng, b"peer/1", 7, &mut record).unwrap();
        assert!(!record.windows(5).any(|w| w == b"state"));
        let open = |key: &StorageKey, slot: &[u8], epoch, mut record: [u8; 5 + OVERHEAD]| {
            key.open(slot, epoch, &mut record)
                .map(|contents| contents == b"state")
        };
        assert_eq!(open(&key, b"peer/1", 7, record), Ok(true));
        assert_eq!(open(&key, b"peer/2", 7, record), Err(StateError));
        assert_eq!(open(&key, b"peer/1", 8, record), Err(StateError));
        assert_eq!(
            open(&StorageKey::from_bytes([9; 32]), b"peer/1", 7, record),
            Err(StateError)
        );
        for bit in 0..record.len() * 8 {
            let mut bad = record;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"peer/1", 7, bad).is_err(), "bit {bit}");
        }
        for short in 0..OVERHEAD {
            assert!(key.open(b"peer/1", 7, &mut { record }[..short]).is_err());
        }
    }
}
