//! The flash driver, counted, and seen as an asynchronous one by the library that keeps items.

use core::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use embedded_storage::nor_flash::NorFlash;
use embedded_storage_async::nor_flash as flash_async;

use crate::{
    keys::Keys,
    store::{Wear, Wipe},
};

/// A blocking flash driver with its counters.
#[derive(Debug)]
pub(crate) struct Medium<F> {
    pub(crate) flash: F,
    pub(crate) wear: Wear,
    pub(crate) keys: Keys,
    /// Pages in front that are for keys.
    pub(crate) key_pages: u32,
    /// A write did not read back.
    pub(crate) unfit: bool,
}

impl<F: NorFlash> Medium<F> {
    /// Bytes that reads and writes are aligned to.
    pub(crate) const WORD: usize = if F::READ_SIZE > F::WRITE_SIZE {
        F::READ_SIZE
    } else {
        F::WRITE_SIZE
    };
    /// Bytes of a page.
    pub(crate) const PAGE: u32 = F::ERASE_SIZE as u32;

    pub(crate) fn new(flash: F, wipe: Wipe) -> Self {
        let pages = flash.capacity() as u32 / Self::PAGE;
        let wear = Wear {
            bytes: 0,
            writes: 0,
            erases: 0,
        };
        Self {
            flash,
            wear,
            keys: Keys::new(wipe),
            // Steps wear them as much as they wear one page in twenty of the others.
            key_pages: (pages / 16).max(2),
            unfit: false,
        }
    }

    pub(crate) fn get(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(at, bytes)
    }

    pub(crate) fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.wear.writes += 1;
        self.wear.bytes += bytes.len() as u64;
        self.flash.write(at, bytes)?;
        self.read_back(at, bytes)
    }

    /// Looks whether what was written stands there: worn cells, and what was not erased, tell no
    /// error by themselves.
    fn read_back(&mut self, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let mut piece = [0; 64];
        for (n, written) in bytes.chunks(piece.len()).enumerate() {
            let piece = piece.get_mut(..written.len()).unwrap_or_default();
            self.flash.read(at + (n * 64) as u32, piece)?;
            self.unfit |= piece != written;
        }
        Ok(())
    }

    pub(crate) fn erase_pages(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.wear.erases += u64::from(to.saturating_sub(from) / Self::PAGE);
        self.flash.erase(from, to)
    }

    /// How many bytes of a range are programmed, counted up to `most`.
    pub(crate) fn programmed(
        &mut self,
        from: u32,
        to: u32,
        most: usize,
    ) -> Result<usize, F::Error> {
        let (mut at, mut count) = (from, 0);
        let mut piece = [0; 64];
        while at < to && count <= most {
            let len = piece.len().min((to - at) as usize);
            let piece = piece.get_mut(..len).unwrap_or_default();
            self.get(at, piece)?;
            count += piece.iter().filter(|byte| **byte != 0xff).count();
            at += len as u32;
        }
        Ok(count)
    }

    /// Erases a page unless it is blank.
    pub(crate) fn clear_page(&mut self, at: u32) -> Result<(), F::Error> {
        if self.programmed(at, at + Self::PAGE, 0)? > 0 {
            self.erase_pages(at, at + Self::PAGE)?;
        }
        Ok(())
    }
}

impl<F: NorFlash> flash_async::ErrorType for Medium<F> {
    type Error = F::Error;
}

impl<F: NorFlash> flash_async::ReadNorFlash for Medium<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> flash_async::NorFlash for Medium<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.erase_items(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.program(offset, bytes)
    }
}

/// Runs a future over a [`Medium`] to its end: nothing in it ever waits, and it is never cancelled.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
