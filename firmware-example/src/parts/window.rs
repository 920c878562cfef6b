//! [`Window`]: some erase units of a larger flash, and nothing beyond them.

use core::fmt::Debug;

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// A window did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowError<E> {
    /// The place is outside of the window: the caller's fault.
    OutOfBounds,
    /// What was written does not read back: the flash is worn out, or was not erased before.
    Unequal,
    /// The flash's own.
    Flash(E),
}

impl<E: NorFlashError> NorFlashError for WindowError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::Unequal => NorFlashErrorKind::Other,
            Self::Flash(error) => error.kind(),
        }
    }
}

/// A part of a flash whose places count from 0. Reads back what it writes: not every controller
/// tells of every failure.
#[derive(Debug)]
pub struct Window<F> {
    flash: F,
    offset: u32,
    size: u32,
}

impl<F: NorFlash> Window<F> {
    /// `size` bytes from `offset` on, both in whole erase units; at most as much as there is.
    ///
    /// The memory map gives both, so a wrong one is a mistake of the board file.
    ///
    /// # Panics
    /// Where they are not whole erase units of this flash.
    pub fn new(flash: F, offset: u32, size: u32) -> Self {
        let end = u64::from(offset) + u64::from(size);
        let whole = |place: u32| (place as usize).is_multiple_of(F::ERASE_SIZE);
        assert!(
            whole(offset) && whole(size) && end <= flash.capacity() as u64,
            "the memory map's region does not fit this flash"
        );
        Self {
            flash,
            offset,
            size,
        }
    }

    /// The place in the flash of `length` bytes at `offset` of the window.
    fn place(&self, offset: u32, length: usize) -> Result<u32, WindowError<F::Error>> {
        let end = u32::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Err(WindowError::OutOfBounds);
        }
        Ok(self.offset + offset)
    }
}

impl<F: NorFlash> ErrorType for Window<F> {
    type Error = WindowError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Window<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let place = self.place(offset, bytes.len())?;
        self.flash.read(place, bytes).map_err(WindowError::Flash)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<F: NorFlash> NorFlash for Window<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let length = to.checked_sub(from).ok_or(WindowError::OutOfBounds)?;
        let place = self.place(from, length as usize)?;
        self.flash
            .erase(place, place + length)
            .map_err(WindowError::Flash)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let mut place = self.place(offset, bytes.len())?;
        self.flash.write(place, bytes).map_err(WindowError::Flash)?;
        let mut stored = [0; 64];
        for written in bytes.chunks(stored.len()) {
            let stored = &mut stored[..written.len()];
            self.flash.read(place, stored).map_err(WindowError::Flash)?;
            if stored != written {
                return Err(WindowError::Unequal);
            }
            place += written.len() as u32;
        }
        Ok(())
    }
}

impl<F: MultiwriteNorFlash> MultiwriteNorFlash for Window<F> {}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const UNIT: usize = 256;

    /// Four erase units; bits go from one to zero only, and a stuck one stays.
    struct Chip {
        bytes: Vec<u8>,
        stuck: Option<usize>,
    }

    fn chip() -> Chip {
        Chip {
            bytes: vec![0xFF; 4 * UNIT],
            stuck: None,
        }
    }

    impl ErrorType for Chip {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Chip {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
            Ok(())
        }

        fn capacity(&self) -> usize {
            self.bytes.len()
        }
    }

    impl NorFlash for Chip {
        const WRITE_SIZE: usize = 16;
        const ERASE_SIZE: usize = UNIT;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            self.bytes[from as usize..to as usize].fill(0xFF);
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            for (place, byte) in (offset as usize..).zip(bytes) {
                if self.stuck != Some(place) {
                    self.bytes[place] &= byte;
                }
            }
            Ok(())
        }
    }

    #[test]
    fn counts_from_zero_and_touches_nothing_outside() {
        let mut window = Window::new(chip(), UNIT as u32, 2 * UNIT as u32);
        assert_eq!(window.capacity(), 2 * UNIT);
        window.write(0, &[1; UNIT]).unwrap();
        window.write(UNIT as u32, &[2; UNIT]).unwrap();
        let mut read = [0; 2];
        window.read(UNIT as u32 - 1, &mut read).unwrap();
        assert_eq!(read, [1, 2]);
        assert!(window.flash.bytes[..UNIT].iter().all(|byte| *byte == 0xFF));
        assert!(
            window.flash.bytes[3 * UNIT..]
                .iter()
                .all(|byte| *byte == 0xFF)
        );
        window.flash.bytes.fill(0);
        window.erase(0, 2 * UNIT as u32).unwrap();
        assert!(window.flash.bytes[..UNIT].iter().all(|byte| *byte == 0));
        assert!(window.flash.bytes[3 * UNIT..].iter().all(|byte| *byte == 0));
        assert!(
            window.flash.bytes[UNIT..3 * UNIT]
                .iter()
                .all(|byte| *byte == 0xFF)
        );
    }

    #[test]
    fn one_byte_beyond_is_refused_and_changes_nothing() {
        let mut window = Window::new(chip(), UNIT as u32, UNIT as u32);
        let end = UNIT as u32;
        for (offset, length) in [
            (end, 16),
            (end - 16, 32),
            (u32::MAX - 15, 16),
            (u32::MAX, 16),
        ] {
            assert_eq!(
                window.write(offset, &vec![0; length]),
                Err(WindowError::OutOfBounds)
            );
            assert_eq!(
                window.read(offset, &mut vec![0; length]),
                Err(WindowError::OutOfBounds)
            );
        }
        assert_eq!(window.erase(0, 2 * end), Err(WindowError::OutOfBounds));
        assert_eq!(window.erase(end, 0), Err(WindowError::OutOfBounds));
        assert!(window.flash.bytes.iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn a_write_that_did_not_take_is_an_error() {
        let mut window = Window::new(chip(), UNIT as u32, UNIT as u32);
        window.flash.stuck = Some(UNIT + 130);
        assert_eq!(window.write(0, &[0; 128]), Ok(()));
        assert_eq!(window.write(128, &[0; 16]), Err(WindowError::Unequal));
        // Written before and not erased since.
        assert_eq!(window.write(0, &[0xA5; 16]), Err(WindowError::Unequal));
    }

    #[test]
    fn a_region_that_does_not_fit_is_a_mistake_of_the_board() {
        for (offset, size) in [(1, UNIT), (0, UNIT + 1), (4 * UNIT, UNIT), (UNIT, 4 * UNIT)] {
            let made = std::panic::catch_unwind(|| Window::new(chip(), offset as u32, size as u32));
            assert!(made.is_err(), "{offset} {size}");
        }
    }
}
