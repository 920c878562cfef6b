//! A disk that is only read: what is written to it stays in memory.
//!
//! redb writes whenever it opens a file: the mark that it is in use, and after an error all that its
//! recovery found out. On a disk that takes no writes no database can be opened for reading either
//! (its own read-only one refuses a file that was not closed in order). So what it writes is laid over the
//! disk in memory, for as long as the trouble lasts, and is forgotten then. It is a few pages, and
//! two bits for each page of the file.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(super) struct View {
    disk: Box<dyn StorageBackend>,
    over: Mutex<Over>,
}

#[derive(Debug)]
struct Over {
    /// The file's length as its user sees it.
    len: u64,
    /// Bytes of the disk that still show.
    shown: u64,
    /// What was written, by the number of the block.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl View {
    pub(super) fn of(disk: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = disk.len()?;
        let over = Mutex::new(Over {
            len,
            shown: len,
            blocks: BTreeMap::new(),
        });
        Ok(Self { disk, over })
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_over(&self, over: &Over, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        let from_disk = over.shown.clamp(offset, end) - offset;
        let (below, beyond) = out.split_at_mut(from_disk as usize);
        if !below.is_empty() {
            self.disk.read(offset, below)?;
        }
        beyond.fill(0);
        for (number, block) in over.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let (of_block, of_out) = meeting(*number, offset, end);
            out[of_out].copy_from_slice(&block[of_block]);
        }
        Ok(())
    }
}

/// Where a block and the bytes from `offset` to `end` meet: in the block, and behind `offset`.
fn meeting(number: u64, offset: u64, end: u64) -> (Range<usize>, Range<usize>) {
    let at = number * BLOCK;
    let (from, to) = (offset.max(at), end.min(at + BLOCK));
    let behind = |place: u64| (from - place) as usize..(to - place) as usize;
    (behind(at), behind(offset))
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.over();
        if offset + out.len() as u64 > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_over(&over, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.over();
        // What is cut off reads as zeros when the file grows again.
        over.blocks.split_off(&len.div_ceil(BLOCK));
        if let Some(last) = over.blocks.get_mut(&(len / BLOCK)) {
            last[(len % BLOCK) as usize..].fill(0);
        }
        over.shown = over.shown.min(len);
        over.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.over();
        let end = offset + data.len() as u64;
        if end > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for number in offset / BLOCK..end.div_ceil(BLOCK) {
            let (of_block, of_data) = meeting(number, offset, end);
            let mut block = vec![0; BLOCK as usize];
            self.read_over(&over, number * BLOCK, &mut block)?;
            block[of_block].copy_from_slice(&data[of_data]);
            over.blocks.insert(number, block);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    /// A file that is open for reading only takes no lock for one alone: then one that keeps writers
    /// away.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let alone = self.disk.try_lock_range(start, end);
        alone.or_else(|_| self.disk.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    /// The same steps on the view and on a plain file in memory read the same; the disk stays as it was.
    #[test]
    fn it_reads_like_a_disk_and_changes_none() {
        let contents: Vec<u8> = (0..20_000u32).map(|n| n as u8).collect();
        let file = || {
            let file = InMemoryBackend::new();
            file.set_len(contents.len() as u64).unwrap();
            file.write(0, &contents).unwrap();
            file
        };
        let (beneath, plain) = (std::sync::Arc::new(file()), file());
        let view = View::of(Box::new(Shared(std::sync::Arc::clone(&beneath)))).unwrap();
        let mut roll = 1u64;
        let mut dice = move |below: u64| {
            roll = roll.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (roll >> 33) % below
        };
        for step in 0..2_000u32 {
            let len = plain.len().unwrap();
            let offset = dice(len);
            let size = dice((len - offset).min(9_000) + 1) as usize;
            match dice(20) {
                0 => {
                    let len = 1 + dice(40_000);
                    plain.set_len(len).unwrap();
                    view.set_len(len).unwrap();
                }
                1..8 => {
                    let data = vec![step as u8; size];
                    plain.write(offset, &data).unwrap();
                    view.write(offset, &data).unwrap();
                }
                _ => {
                    let (mut one, mut other) = (vec![1; size], vec![2; size]);
                    plain.read(offset, &mut one).unwrap();
                    view.read(offset, &mut other).unwrap();
                    assert!(one == other, "step {step}: {size} bytes at {offset}");
                }
            }
            assert_eq!(view.len().unwrap(), plain.len().unwrap());
        }
        let end = view.len().unwrap();
        assert!(view.read(end, &mut [0]).is_err());
        assert!(view.write(end, &[0]).is_err());
        let mut after = vec![0; contents.len()];
        beneath.read(0, &mut after).unwrap();
        assert!(after == contents);
    }

    #[derive(Debug)]
    struct Shared(std::sync::Arc<InMemoryBackend>);

    impl StorageBackend for Shared {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            panic!("the disk is only read")
        }
        fn sync_data(&self) -> io::Result<()> {
            panic!("the disk is only read")
        }
        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            panic!("the disk is only read")
        }
    }
}
