//! NOR flash in a file of the host: writes clear bits, erases set them.

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
    check_erase, check_read, check_write,
};

use super::files::open_or_make;
use super::semihosting::{HostFile, Refused};

/// Bytes of the region.
const SIZE: usize = 64 * 1024;
const SECTOR: usize = 4096;
const CHUNK: usize = 256;

/// The region that holds the state.
#[derive(Debug)]
pub(crate) struct FileFlash(HostFile);

/// What goes wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFlashError {
    /// The host refuses to read or write the file.
    Host,
    /// Out of bounds or not aligned.
    Request(NorFlashErrorKind),
}

impl From<Refused> for FileFlashError {
    fn from(Refused: Refused) -> Self {
        Self::Host
    }
}

impl From<NorFlashErrorKind> for FileFlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        Self::Request(kind)
    }
}

impl NorFlashError for FileFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Host => NorFlashErrorKind::Other,
            Self::Request(kind) => *kind,
        }
    }
}

impl FileFlash {
    /// Opens the file, or makes a new one.
    pub(super) fn open(path: &str) -> Result<Self, Refused> {
        open_or_make(path, SIZE).map(Self)
    }
}

impl ErrorType for FileFlash {
    type Error = FileFlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileFlashError> {
        check_read(self, offset, bytes.len())?;
        Ok(self.0.read(offset as usize, bytes)?)
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FileFlashError> {
        check_erase(self, from, to)?;
        for at in (from as usize..to as usize).step_by(CHUNK) {
            self.0.write(at, &[0xff; CHUNK])?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileFlashError> {
        check_write(self, offset, bytes.len())?;
        let mut at = offset as usize;
        for chunk in bytes.chunks(CHUNK) {
            let mut cells = [0; CHUNK];
            let cells = &mut cells[..chunk.len()];
            self.0.read(at, cells)?;
            for (cell, byte) in cells.iter_mut().zip(chunk) {
                *cell &= *byte;
            }
            self.0.write(at, cells)?;
            at += chunk.len();
        }
        Ok(())
    }
}

/// Bits that were cleared can be cleared again, as on a plain NOR part.
impl MultiwriteNorFlash for FileFlash {}
