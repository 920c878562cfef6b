//! Calls to the host that runs QEMU. Arm's "Semihosting for AArch32 and AArch64", section 7.

use core::arch::asm;

const OPEN: usize = 0x01;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const SEEK: usize = 0x0a;
const LENGTH: usize = 0x0c;
const COMMAND_LINE: usize = 0x15;

/// How a file is opened: the codes of `fopen`.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    Read = 1,
    ReadWrite = 3,
    Create = 7,
}

/// The host refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// A file of the host. Its writes are the host's own: what is written survives the end of QEMU.
#[derive(Debug)]
pub(crate) struct HostFile(usize);

/// Makes a call.
///
/// # Safety
/// `argument` is what the call wants: a block of words that it may read, and of which the buffers
/// that it names are as long as it says.
unsafe fn call(number: usize, argument: *const usize) -> usize {
    let mut result = number;
    // SAFETY: the caller's promise; a host without semihosting faults, which restarts the board.
    unsafe {
        asm!("bkpt 0xab", inout("r0") result, in("r1") argument, options(nostack));
    }
    result
}

impl HostFile {
    /// Opens a file by its path.
    pub(super) fn open(path: &str, mode: Mode) -> Result<Self, Refused> {
        let mut name = [0; 256];
        name.get_mut(..path.len())
            .filter(|_| path.len() < 256)
            .ok_or(Refused)?
            .copy_from_slice(path.as_bytes());
        // Code 1 is "rb", 3 "r+b", 7 "w+b".
        let block = [name.as_ptr() as usize, mode as usize, path.len()];
        // SAFETY: a path that ends in zero and its length, both alive until the call returns.
        let handle = unsafe { call(OPEN, block.as_ptr()) };
        if handle == usize::MAX {
            Err(Refused)
        } else {
            Ok(Self(handle))
        }
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> usize {
        let block = [self.0];
        // SAFETY: one word, a handle of ours.
        unsafe { call(LENGTH, block.as_ptr()) }
    }

    fn seek(&mut self, at: usize) -> Result<(), Refused> {
        let block = [self.0, at];
        // SAFETY: two words, a handle of ours.
        if unsafe { call(SEEK, block.as_ptr()) } == 0 {
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// Reads from a place, exactly.
    pub(super) fn read(&mut self, at: usize, bytes: &mut [u8]) -> Result<(), Refused> {
        self.seek(at)?;
        self.read_on(bytes)
    }

    /// Reads on from where the last read ended, exactly.
    pub(super) fn read_on(&mut self, bytes: &mut [u8]) -> Result<(), Refused> {
        let block = [self.0, bytes.as_mut_ptr() as usize, bytes.len()];
        // SAFETY: the buffer is borrowed for the call and as long as it says.
        if unsafe { call(READ, block.as_ptr()) } == 0 {
            Ok(())
        } else {
            Err(Refused)
        }
    }

    /// Writes at a place.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), Refused> {
        self.seek(at)?;
        let block = [self.0, bytes.as_ptr() as usize, bytes.len()];
        // SAFETY: the buffer is borrowed for the call and as long as it says.
        if unsafe { call(WRITE, block.as_ptr()) } == 0 {
            Ok(())
        } else {
            Err(Refused)
        }
    }
}

/// The command line that QEMU was given for the board.
pub(super) fn command_line(buffer: &mut [u8]) -> &str {
    let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the buffer is borrowed for the call; the host writes no more than its length.
    let failed = unsafe { call(COMMAND_LINE, block.as_mut_ptr()) } != 0;
    let buffer: &[u8] = buffer;
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(0);
    let text = buffer.get(..end).filter(|_| !failed).unwrap_or_default();
    core::str::from_utf8(text).unwrap_or_default()
}
