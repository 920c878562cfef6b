//! Calls to the host that runs QEMU. Arm's "Semihosting for AArch32 and AArch64", section 7.

use core::arch::asm;

const OPEN: usize = 0x01;
const CLOSE: usize = 0x02;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const SEEK: usize = 0x0a;
const LENGTH: usize = 0x0c;
const COMMAND_LINE: usize = 0x15;
const EXIT: usize = 0x18;

/// The reason for an end that is nobody's wish: "ADP_Stopped_RunTimeErrorUnknown".
const RUN_TIME_ERROR: usize = 0x2_0023;

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
            return Err(Refused);
        }
        handles::remember(handle);
        Ok(Self(handle))
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> Result<usize, Refused> {
        let block = [self.0];
        // SAFETY: one word, a handle of ours.
        let len = unsafe { call(LENGTH, block.as_ptr()) };
        if len == usize::MAX {
            Err(Refused)
        } else {
            Ok(len)
        }
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

/// Ends QEMU with an error: for what no restart would mend.
pub(super) fn exit() -> ! {
    // SAFETY: this call takes the reason itself, and no block.
    unsafe { call(EXIT, RUN_TIME_ERROR as *const usize) };
    cortex_m::peripheral::SCB::sys_reset()
}

/// Files that the host holds open for us. It does so across a restart of the board, so the next life
/// closes them: a device that restarts a thousand times would use up what a process may open.
mod handles {
    use core::mem::MaybeUninit;

    use super::{CLOSE, call};

    const MOST: usize = 4;
    /// In front of them, so that what a memory holds after power on is not taken for handles.
    const MARK: usize = 0x4857_6f70;

    /// Mark, number, handles. Not touched by the start-up code.
    #[unsafe(link_section = ".uninit.handles")]
    static mut OPEN: MaybeUninit<[usize; 2 + MOST]> = MaybeUninit::uninit();

    fn cell(index: usize) -> *mut usize {
        (&raw mut OPEN).cast::<usize>().wrapping_add(index)
    }

    fn read(index: usize) -> usize {
        // SAFETY: within the array; RAM holds some number, and nothing else uses it meanwhile: the
        // board is taken apart once, before any interrupt that opens files.
        unsafe { cell(index).read_volatile() }
    }

    fn write(index: usize, value: usize) {
        // SAFETY: as in `read`.
        unsafe { cell(index).write_volatile(value) }
    }

    /// Closes what the last life left open.
    pub(in super::super) fn close_old() {
        let count = if read(0) == MARK {
            read(1).min(MOST)
        } else {
            0
        };
        for index in 0..count {
            let block = [read(2 + index)];
            // SAFETY: one word; a handle that is none is refused, which changes nothing.
            unsafe { call(CLOSE, block.as_ptr()) };
        }
        write(0, MARK);
        write(1, 0);
    }

    pub(super) fn remember(handle: usize) {
        let count = read(1);
        if count < MOST {
            write(2 + count, handle);
            write(1, count + 1);
        }
    }
}

pub(super) use handles::close_old;

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
