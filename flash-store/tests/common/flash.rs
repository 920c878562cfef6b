//! NOR flash in memory: it counts, refuses what real flash cannot do, and loses power on demand.

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MockError {
    /// The power is off.
    PowerLost,
    /// Out of bounds or not aligned: a bug of the caller.
    Misused,
}

impl NorFlashError for MockError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What is left of the operation in which the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Nothing of it happened.
    Nothing,
    /// All of it happened; only its caller does not know.
    All,
    /// The first so many sixteenths of its bytes.
    First(usize),
    /// The last so many: an erase may begin anywhere.
    Last(usize),
}

#[derive(Clone, Debug)]
pub struct MockFlash<const WRITE: usize, const ERASE: usize> {
    pub bytes: Vec<u8>,
    pub writes: u64,
    pub written: u64,
    pub erases: u64,
    /// Erases of each page.
    pub pages: Vec<u64>,
    /// The power goes in this operation, counted from now.
    pub cut: Option<(u64, Torn)>,
    pub off: bool,
    /// A word takes more than one write.
    pub multiwrite: bool,
    /// A write that wants a bit from 0 to 1 is a bug, not damage.
    pub strict: bool,
}

impl<const WRITE: usize, const ERASE: usize> MockFlash<WRITE, ERASE> {
    pub fn new(pages: usize) -> Self {
        Self::of(vec![0xff; pages * ERASE])
    }

    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            pages: vec![0; bytes.len() / ERASE],
            bytes,
            writes: 0,
            written: 0,
            erases: 0,
            cut: None,
            off: false,
            multiwrite: true,
            strict: true,
        }
    }

    pub fn operations(&self) -> u64 {
        self.writes + self.erases
    }

    pub fn power_on(&mut self) {
        self.off = false;
        self.cut = None;
    }

    /// The power comes back. A cut that has not come yet still comes.
    pub fn power_on_for_start(&mut self) {
        if self.off {
            self.power_on();
        }
    }

    /// How many bytes of an operation happen: `None` is all of it, and the power stays.
    fn torn(&mut self, len: usize) -> Option<std::ops::Range<usize>> {
        let (left, torn) = self.cut.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        self.off = true;
        Some(match *torn {
            Torn::Nothing => 0..0,
            Torn::All => 0..len,
            Torn::First(n) => 0..len * n / 16,
            Torn::Last(n) => len - len * n / 16..len,
        })
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for MockFlash<WRITE, ERASE> {
    type Error = MockError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for MockFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        if self.off {
            return Err(MockError::PowerLost);
        }
        let from = offset as usize;
        let range = self.bytes.get(from..from + bytes.len());
        bytes.copy_from_slice(range.ok_or(MockError::Misused)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for MockFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        let (from, to) = (from as usize, to as usize);
        if !from.is_multiple_of(ERASE) || !to.is_multiple_of(ERASE) || to > self.bytes.len() {
            return Err(MockError::Misused);
        }
        for page in from / ERASE..to / ERASE {
            if self.off {
                return Err(MockError::PowerLost);
            }
            let torn = self.torn(ERASE);
            self.erases += 1;
            self.pages[page] += 1;
            let at = page * ERASE;
            let range = torn.clone().unwrap_or(0..ERASE);
            self.bytes[at + range.start..at + range.end].fill(0xff);
            if torn.is_some() {
                return Err(MockError::PowerLost);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        if self.off {
            return Err(MockError::PowerLost);
        }
        let at = offset as usize;
        let aligned = at.is_multiple_of(WRITE) && bytes.len().is_multiple_of(WRITE);
        if !aligned || at + bytes.len() > self.bytes.len() {
            return Err(MockError::Misused);
        }
        let torn = self.torn(bytes.len());
        self.writes += 1;
        self.written += bytes.len() as u64;
        let range = torn.clone().unwrap_or(0..bytes.len());
        for (n, byte) in bytes.iter().enumerate().take(range.end).skip(range.start) {
            let cell = &mut self.bytes[at + n];
            if !self.multiwrite {
                assert_eq!(*cell, 0xff, "a word is written twice");
            }
            // Bits only go from 1 to 0; who wants the other way has a bug.
            assert!(
                !self.strict || *cell & byte == *byte,
                "a write needs an erase at {at}"
            );
            *cell &= byte;
        }
        if torn.is_some() {
            return Err(MockError::PowerLost);
        }
        Ok(())
    }
}

impl<const WRITE: usize, const ERASE: usize> MultiwriteNorFlash for MockFlash<WRITE, ERASE> {}

/// The flash as a chip on a board: whoever starts finds the same one.
#[derive(Clone, Debug)]
pub struct Chip<const WRITE: usize, const ERASE: usize>(
    pub std::rc::Rc<std::cell::RefCell<MockFlash<WRITE, ERASE>>>,
);

impl<const WRITE: usize, const ERASE: usize> Chip<WRITE, ERASE> {
    pub fn new(pages: usize) -> Self {
        Self::with(MockFlash::new(pages))
    }

    pub fn with(flash: MockFlash<WRITE, ERASE>) -> Self {
        Self(std::rc::Rc::new(std::cell::RefCell::new(flash)))
    }

    pub fn get(&self) -> std::cell::RefMut<'_, MockFlash<WRITE, ERASE>> {
        self.0.borrow_mut()
    }

    pub fn image(&self) -> Vec<u8> {
        self.get().bytes.clone()
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Chip<WRITE, ERASE> {
    type Error = MockError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Chip<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MockError> {
        self.get().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.get().capacity()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Chip<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), MockError> {
        self.get().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MockError> {
        self.get().write(offset, bytes)
    }
}

impl<const WRITE: usize, const ERASE: usize> MultiwriteNorFlash for Chip<WRITE, ERASE> {}
