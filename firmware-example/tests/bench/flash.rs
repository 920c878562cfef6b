//! NOR flash in RAM: bits only clear, pages only erase, and calls fail on demand.

use std::{cell::Cell, rc::Rc};

use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
    check_erase, check_read, check_write,
};

const PAGE: usize = 4096;
const PAGES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashFault;

impl NorFlashError for FlashFault {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// 64 KiB in pages of 4 KiB.
#[derive(Debug, Clone)]
pub struct RamFlash {
    pub cells: Vec<u8>,
    /// Writes and erases fail while it is set.
    pub fails: Rc<Cell<bool>>,
    /// Writes and erases so far.
    pub writes: Rc<Cell<u64>>,
    /// They fail when there were so many.
    pub cut: Rc<Cell<Option<u64>>>,
}

impl RamFlash {
    pub fn new() -> Self {
        Self {
            cells: vec![0xff; PAGE * PAGES],
            fails: Rc::default(),
            writes: Rc::default(),
            cut: Rc::default(),
        }
    }

    fn works(&self) -> Result<(), FlashFault> {
        let cut = self.cut.get().is_some_and(|at| self.writes.get() >= at);
        self.writes.set(self.writes.get() + 1);
        if self.fails.get() || cut {
            Err(FlashFault)
        } else {
            Ok(())
        }
    }
}

impl ErrorType for RamFlash {
    type Error = FlashFault;
}

impl ReadNorFlash for RamFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFault> {
        check_read(self, offset, bytes.len()).map_err(|_| FlashFault)?;
        bytes.copy_from_slice(&self.cells[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.cells.len()
    }
}

impl NorFlash for RamFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFault> {
        check_erase(self, from, to).map_err(|_| FlashFault)?;
        self.works()?;
        self.cells[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        check_write(self, offset, bytes.len()).map_err(|_| FlashFault)?;
        self.works()?;
        for (cell, byte) in self.cells[offset as usize..].iter_mut().zip(bytes) {
            *cell &= *byte;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for RamFlash {}
