//! Records at rest: sealed, versioned, bound to their slot and epoch. PROTOCOL 8.1
//!
//! ```text
//! version ‖ salt 16 ‖ sealed bytes ‖ tag 16        key ‖ nonce = HKDF(salt, storage key, RECORD ‖ slot ‖ epoch)
//!            salt 8 ‖ sealed bytes ‖ tag 16        key ‖ nonce = HKDF(salt, storage key ‖ epoch key, ITEM ‖ name)
//! ```
//! The second form is for flash: shorter, and under an epoch key that is wiped by itself.

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

const ITEM_SALT_LEN: usize = 8;
/// Bytes of an [item](StorageKey::seal_item) before its contents.
pub const ITEM_HEADROOM: usize = ITEM_SALT_LEN;
/// Bytes that an [item](StorageKey::seal_item) is longer than its contents.
pub const ITEM_OVERHEAD: usize = ITEM_HEADROOM + TAG_LEN;

secret! {
    /// The key of everything that a device keeps.
    pub struct StorageKey([u8; 32]);
}

secret! {
    /// A key that lives for one epoch of a record: once it is wiped, nobody opens what it sealed,
    /// whoever has the storage key. 128 bits, as strong as P-256.
    pub struct EpochKey([u8; 16]);
}

impl EpochKey {
    /// Length in bytes.
    pub const LENGTH: usize = Self::LEN;

    /// Takes a key from the place where it is kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self([0; 16]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The bytes, for the one place where they are kept.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.bytes()
    }
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

impl StorageKey {
    fn item_key(&self, epoch: Option<&EpochKey>, salt: &[u8], name: &[u8]) -> OneTimeKey {
        let mut input = zeroize::Zeroizing::new([0; StorageKey::LEN + EpochKey::LEN]);
        let epoch_bytes = epoch.map_or(&[0; EpochKey::LEN], EpochKey::bytes);
        let parts = self.bytes().iter().chain(epoch_bytes);
        input
            .iter_mut()
            .zip(parts)
            .for_each(|(slot, byte)| *slot = *byte);
        let mut key = zeroize::Zeroizing::new([0; OneTimeKey::LEN]);
        let info: [&[u8]; 3] = [label::ITEM, &[u8::from(epoch.is_some())], name];
        hkdf(salt, &*input, &info, &mut *key);
        OneTimeKey::new(*key)
    }

    /// Seals an item in place: its contents stand at [`ITEM_HEADROOM`], `buffer` is
    /// [`ITEM_OVERHEAD`] bytes longer than they are. `name` is the place where it stands; a
    /// generation belongs into the contents.
    ///
    /// No key repeats, an older image restored or not: each item draws eight bytes of salt.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is shorter than [`ITEM_OVERHEAD`].
    pub fn seal_item(
        &self,
        rng: &mut impl CryptoRng,
        epoch: Option<&EpochKey>,
        name: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), StateError> {
        let (salt, rest) = buffer
            .split_first_chunk_mut::<ITEM_SALT_LEN>()
            .ok_or(StateError)?;
        let (contents, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(StateError)?;
        rng.fill_bytes(salt);
        *tag = self.item_key(epoch, salt, name).seal(&[], contents);
        Ok(())
    }

    /// Opens an item in place and returns its contents. On failure nothing changed, so that another
    /// epoch's key can be tried.
    ///
    /// # Errors
    /// [`StateError`]: damaged, of another place, or under other keys.
    pub fn open_item<'b>(
        &self,
        epoch: Option<&EpochKey>,
        name: &[u8],
        buffer: &'b mut [u8],
    ) -> Result<&'b mut [u8], StateError> {
        let (salt, rest) = buffer
            .split_first_chunk_mut::<ITEM_SALT_LEN>()
            .ok_or(StateError)?;
        let (contents, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(StateError)?;
        self.item_key(epoch, salt, name)
            .open(&[], contents, tag)
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
    #[test]
    fn an_item_opens_in_its_place_and_epoch_only() {
        let key = StorageKey::from_bytes([1; 32]);
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let (now, before) = (EpochKey::generate(&mut rng), EpochKey::generate(&mut rng));
        let mut item = [0; 5 + ITEM_OVERHEAD];
        item[ITEM_HEADROOM..ITEM_HEADROOM + 5].copy_from_slice(b"state");
        key.seal_item(&mut rng, Some(&now), b"s", &mut item)
            .unwrap();
        let mut other = item;
        assert!(key.open_item(Some(&before), b"s", &mut other).is_err());
        assert!(key.open_item(None, b"s", &mut other).is_err());
        assert!(key.open_item(Some(&now), b"t", &mut other).is_err());
        let zero = EpochKey::from_bytes([0; 16]);
        let mut under_zero = [0; 5 + ITEM_OVERHEAD];
        key.seal_item(&mut rng, Some(&zero), b"s", &mut under_zero)
            .unwrap();
        assert!(key.open_item(None, b"s", &mut under_zero).is_err());
        assert_eq!(other, item, "a miss changes nothing");
        let contents = key.open_item(Some(&now), b"s", &mut other).unwrap();
        assert_eq!(contents, b"state");
    }
}
