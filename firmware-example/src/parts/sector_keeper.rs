//! [`SectorKeeper`]: the storage key in a sector of its own.
//!
//! ```text
//! 0        16                48                80              128
//! | magic  | key             | key, inverted   | 0xFF          |
//! ```
//!
//! It keeps the key apart from what it seals, so that the region of the state can be copied, handed
//! in for repair or erased without it, and so that erasing one sector loses everything. It does
//! **not** keep it from somebody who can read this flash: that takes the chip's read-out protection,
//! or another `Keeper` (`docs/PORTING.md`, "The keeper").

use embedded_storage::nor_flash::NorFlash;
use zeroize::{Zeroize, Zeroizing};

use crate::board::Keeper;

const MAGIC: &[u8; 16] = b"hushwire key v1\n";
const KEY: core::ops::Range<usize> = 16..48;
const INVERTED: core::ops::Range<usize> = 48..80;

/// A whole number of write units on every part whose unit is a power of two up to this one.
const RECORD: usize = 128;

/// How often an erase or a write is tried before the part counts as broken.
const TRIES: usize = 3;

/// Keeps the key in the first bytes of a flash region that nothing else uses.
#[derive(Debug)]
pub struct SectorKeeper<F> {
    sector: F,
}

impl<F: NorFlash> SectorKeeper<F> {
    const FITS: () = assert!(
        RECORD.is_multiple_of(F::WRITE_SIZE) && RECORD.is_multiple_of(F::READ_SIZE),
        "this flash writes in units that the record is not a multiple of"
    );

    /// Takes the region: one erase unit or more, of which the first is used.
    pub const fn new(sector: F) -> Self {
        let () = Self::FITS;
        Self { sector }
    }

    fn record(&mut self) -> Option<Zeroizing<[u8; RECORD]>> {
        let mut record = Zeroizing::new([0; RECORD]);
        self.sector.read(0, record.as_mut_slice()).ok()?;
        Some(record)
    }

    fn erase(&mut self) -> bool {
        // A sector of more than 4 GiB does not exist.
        let unit = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX);
        (0..TRIES).any(|_| {
            // The erase is believed only when the key can no longer be read.
            self.sector.erase(0, unit).is_ok() && self.key().is_none()
        })
    }
}

impl<F: NorFlash> Keeper for SectorKeeper<F> {
    fn key(&mut self) -> Option<[u8; 32]> {
        let record = self.record()?;
        let mut key = [0; 32];
        key.copy_from_slice(&record[KEY]);
        // A write that the power cut short leaves a key that its inverse does not match.
        let whole = record[INVERTED].iter().zip(&key).all(|(i, k)| *i == !*k);
        if whole && record.starts_with(MAGIC) {
            return Some(key);
        }
        key.zeroize();
        None
    }

    fn keep(&mut self, key: &[u8; 32]) -> bool {
        let mut record = Zeroizing::new([0xFF; RECORD]);
        record[..KEY.start].copy_from_slice(MAGIC);
        record[KEY].copy_from_slice(key);
        for (inverted, byte) in record[INVERTED].iter_mut().zip(key) {
            *inverted = !*byte;
        }
        (0..TRIES).any(|_| {
            // Erased first: after a write that was cut short the sector is neither old nor new.
            self.erase()
                && self.sector.write(0, record.as_slice()).is_ok()
                && self.record().is_some_and(|stored| stored == record)
        })
    }

    fn forget(&mut self) {
        let _ = self.erase();
    }
}

#[cfg(test)]
mod tests {
    use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};

    use super::*;

    const SECTOR: usize = 4096;

    /// One sector that loses power after a number of write units.
    struct Sector {
        bytes: [u8; SECTOR],
        units_left: usize,
    }

    impl Sector {
        const UNIT: usize = 16;

        fn new(byte: u8) -> Self {
            Self {
                bytes: [byte; SECTOR],
                units_left: usize::MAX,
            }
        }
    }

    impl ErrorType for Sector {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Sector {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            let offset = offset as usize;
            bytes.copy_from_slice(&self.bytes[offset..offset + bytes.len()]);
            Ok(())
        }

        fn capacity(&self) -> usize {
            SECTOR
        }
    }

    impl NorFlash for Sector {
        const WRITE_SIZE: usize = Self::UNIT;
        const ERASE_SIZE: usize = SECTOR;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            self.bytes[from as usize..to as usize].fill(0xFF);
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            for (index, unit) in bytes.chunks(Self::UNIT).enumerate() {
                let at = offset as usize + index * Self::UNIT;
                // ECC flash: a unit is written once between two erases.
                assert!(
                    self.bytes[at..at + unit.len()]
                        .iter()
                        .all(|byte| *byte == 0xFF)
                );
                if self.units_left == 0 {
                    return Err(NorFlashErrorKind::Other);
                }
                self.units_left -= 1;
                self.bytes[at..at + unit.len()].copy_from_slice(unit);
            }
            Ok(())
        }
    }

    #[test]
    fn keeps_over_a_restart_and_forgets() {
        for before in [0xFF, 0x00, 0xA5] {
            let mut keeper = SectorKeeper::new(Sector::new(before));
            assert_eq!(keeper.key(), None);
            assert!(keeper.keep(&[7; 32]));
            let mut keeper = SectorKeeper::new(keeper.sector);
            assert_eq!(keeper.key(), Some([7; 32]));
            assert!(keeper.keep(&[8; 32]));
            assert_eq!(keeper.key(), Some([8; 32]));
            keeper.forget();
            assert_eq!(keeper.key(), None);
            assert!(!keeper.sector.bytes.contains(&8));
        }
    }

    #[test]
    fn power_lost_at_any_write_unit_leaves_no_key_or_the_whole_one() {
        for units in 0..=RECORD / Sector::UNIT {
            let mut keeper = SectorKeeper::new(Sector::new(0xFF));
            keeper.sector.units_left = units;
            let kept = keeper.keep(&[0x5A; 32]);
            keeper.sector.units_left = usize::MAX;
            match keeper.key() {
                Some(key) => assert_eq!(key, [0x5A; 32]),
                None => assert!(!kept),
            }
            // The next boot can keep one all the same.
            assert!(keeper.keep(&[1; 32]));
            assert_eq!(keeper.key(), Some([1; 32]));
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_no_key() {
        for bit in 0..INVERTED.end * 8 {
            let mut keeper = SectorKeeper::new(Sector::new(0xFF));
            assert!(keeper.keep(&[0x33; 32]));
            keeper.sector.bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keeper.key(), None, "bit {bit}");
        }
    }
}
