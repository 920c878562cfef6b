//! The caller's memory, checked: how a pointer and a length become a slice.
//!
//! All raw pointers of one call go through one [`Memory`], which refuses what is null, misaligned
//! or too long, and whatever overlaps with something that the call writes.

use core::{marker::PhantomData, ptr};

use crate::status::Status;

/// Regions that one call can have.
const MOST: usize = 10;

#[derive(Clone, Copy)]
struct Region {
    start: usize,
    end: usize,
    written: bool,
}

/// What one call may touch, for as long as it runs.
pub(crate) struct Memory<'m> {
    regions: [Region; MOST],
    count: usize,
    life: PhantomData<&'m mut ()>,
}

impl<'m> Memory<'m> {
    /// # Safety
    /// Each pointer that is given to the methods is null, or for the whole of `'m` points to memory
    /// of the length given with it, which nobody else writes (or, where the method's slice is
    /// mutable, reads). Where the method does not say otherwise the memory is initialised.
    pub(crate) const unsafe fn of_this_call() -> Self {
        let none = Region {
            start: 0,
            end: 0,
            written: false,
        };
        Self {
            regions: [none; MOST],
            count: 0,
            life: PhantomData,
        }
    }

    /// Takes a region: after this nothing else of the call overlaps with it, unless both are read.
    fn take<T>(&mut self, at: *const T, len: usize, written: bool) -> Result<(), Status> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Status::Argument)?;
        if at.is_null() || !at.is_aligned() {
            return Err(Status::Argument);
        }
        self.take_bytes(at.addr(), bytes, written)
    }

    /// One for all types: flash is dear.
    #[inline(never)]
    fn take_bytes(&mut self, start: usize, bytes: usize, written: bool) -> Result<(), Status> {
        let end = start.checked_add(bytes).ok_or(Status::Argument)?;
        if isize::try_from(bytes).is_err() {
            return Err(Status::Argument);
        }
        let overlaps =
            |other: &Region| (written || other.written) && start < other.end && other.start < end;
        if self.regions.iter().take(self.count).any(overlaps) {
            return Err(Status::Argument);
        }
        let region = Region {
            start,
            end,
            written,
        };
        *self.regions.get_mut(self.count).ok_or(Status::Argument)? = region;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Bytes that are only read. Null is no bytes, where the length says so too.
    pub(crate) fn read(&mut self, at: *const u8, len: usize) -> Result<&'m [u8], Status> {
        if len == 0 {
            return Ok(&[]);
        }
        self.take(at, len, false)?;
        // SAFETY: not null, no longer than an isize, and by the contract of `of_this_call`
        // initialised and unwritten for 'm; this call's own mutable slices do not overlap.
        Ok(unsafe { core::slice::from_raw_parts(at, len) })
    }

    /// Bytes that are changed in place.
    pub(crate) fn edit(&mut self, at: *mut u8, len: usize) -> Result<&'m mut [u8], Status> {
        if len == 0 {
            return Ok(&mut []);
        }
        self.take(at, len, true)?;
        // SAFETY: not null, no longer than an isize, and by the contract of `of_this_call`
        // initialised and untouched by others for 'm; nothing else of this call overlaps.
        Ok(unsafe { core::slice::from_raw_parts_mut(at, len) })
    }

    /// Room for output, which need not be initialised: it is zeroed first, so that a call that fails
    /// leaves nothing of what it was about to say.
    pub(crate) fn write(&mut self, at: *mut u8, len: usize) -> Result<&'m mut [u8], Status> {
        if len > 0 {
            self.take(at, len, true)?;
            // SAFETY: not null, and by the contract of `of_this_call` `len` bytes of ours to write.
            unsafe { ptr::write_bytes(at, 0, len) };
            // Its own slice is not an overlap with itself.
            self.count = self.count.saturating_sub(1);
        }
        self.edit(at, len)
    }

    /// So many bytes that are only read.
    pub(crate) fn array<const N: usize>(&mut self, at: *const u8) -> Result<&'m [u8; N], Status> {
        self.read(at, N)?.first_chunk().ok_or(Status::Argument)
    }

    /// Room for so many bytes of output.
    pub(crate) fn room<const N: usize>(&mut self, at: *mut u8) -> Result<&'m mut [u8; N], Status> {
        self.write(at, N)?.first_chunk_mut().ok_or(Status::Argument)
    }

    /// A structure of the caller's, copied.
    pub(crate) fn value<T: Plain>(&mut self, at: *const T) -> Result<T, Status> {
        self.take(at, 1, false)?;
        // SAFETY: not null, aligned, and by the contract of `of_this_call` an initialised T; being
        // Plain, it holds whatever its bytes say.
        Ok(unsafe { at.read() })
    }

    /// A structure that is read and changed.
    pub(crate) fn value_mut<T: Plain>(&mut self, at: *mut T) -> Result<&'m mut T, Status> {
        self.take(at, 1, true)?;
        // SAFETY: not null, aligned, by the contract of `of_this_call` an initialised T of ours for
        // 'm, and nothing else of this call overlaps. Being Plain, it holds whatever its bytes say.
        Ok(unsafe { &mut *at })
    }

    /// A structure for output, which need not be initialised: `empty` is written first.
    pub(crate) fn output<T: Plain>(&mut self, at: *mut T, empty: T) -> Result<&'m mut T, Status> {
        self.take(at, 1, true)?;
        // SAFETY: not null, aligned, and by the contract of `of_this_call` ours to write.
        unsafe { at.write(empty) };
        // SAFETY: as above, and initialised by now.
        Ok(unsafe { &mut *at })
    }

    /// A whole context. The region is taken; whether it holds anything is its tag's to say.
    pub(crate) fn context<T>(&mut self, at: *mut T) -> Result<*mut T, Status> {
        self.take(at, 1, true)?;
        Ok(at)
    }
}

/// Structures of which every sequence of bytes is a valid value, so that C may write what it likes.
///
/// # Safety
/// No field may be a bool, an enum, a reference, or of another type with invalid values.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: every value of an integer is valid.
unsafe impl Plain for usize {}
// SAFETY: every value of an integer is valid.
unsafe impl Plain for u8 {}
// SAFETY: a raw pointer may hold anything.
unsafe impl Plain for *mut u8 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_overlap_are_refused_where_one_is_written() {
        let mut bytes = [7_u8; 64];
        let at = bytes.as_mut_ptr();
        // SAFETY: a test that hands out overlapping regions and holds none of the slices.
        let mut memory = unsafe { Memory::of_this_call() };
        assert!(memory.read(at, 32).is_ok());
        assert!(memory.read(at.wrapping_add(16), 32).is_ok(), "both read");
        assert_eq!(memory.edit(at.wrapping_add(47), 2), Err(Status::Argument));
        assert_eq!(memory.write(at, 1), Err(Status::Argument));
        assert!(memory.edit(at.wrapping_add(48), 16).is_ok());
        assert_eq!(memory.read(at.wrapping_add(63), 1), Err(Status::Argument));
        assert_eq!(bytes, [7; 64], "a refused region is not touched");
    }

    #[test]
    fn null_misaligned_and_endless_are_refused() {
        let word = [0_u64; 2];
        // SAFETY: a test that hands out what is to be refused.
        let mut memory = unsafe { Memory::of_this_call() };
        assert_eq!(memory.read(ptr::null(), 1), Err(Status::Argument));
        assert_eq!(memory.read(ptr::null(), 0), Ok(&[][..]));
        assert_eq!(memory.array::<4>(ptr::null()), Err(Status::Argument));
        let at = word.as_ptr().cast::<u8>();
        assert_eq!(memory.read(at, usize::MAX), Err(Status::Argument));
        assert_eq!(
            memory.read(at, isize::MAX as usize + 1),
            Err(Status::Argument)
        );
        let odd = at.wrapping_add(1).cast::<usize>();
        assert_eq!(memory.value(odd), Err(Status::Argument));
    }

    #[test]
    fn output_begins_as_zeros() {
        let mut bytes = [7_u8; 8];
        // SAFETY: the array lives longer than the slice and is not touched in between.
        let mut memory = unsafe { Memory::of_this_call() };
        let room = memory.room::<4>(bytes.as_mut_ptr()).unwrap();
        assert_eq!(room, &[0; 4]);
        assert_eq!(bytes, [0, 0, 0, 0, 7, 7, 7, 7]);
    }
}
