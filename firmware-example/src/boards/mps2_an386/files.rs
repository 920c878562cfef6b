//! A file of fixed size on the host, made at its first use.

use super::semihosting::{HostFile, Mode, Refused};

const ERASED: [u8; 256] = [0xff; 256];

/// Opens a file of `len` bytes. What is missing of it is filled up with 0xff, as new flash is; what
/// is there stays.
pub(super) fn open_or_make(path: &str, len: usize) -> Result<HostFile, Refused> {
    let mut file = HostFile::open(path, Mode::ReadWrite)
        .or_else(|Refused| HostFile::open(path, Mode::Create))?;
    for at in (file.len()?..len).step_by(ERASED.len()) {
        file.write(at, &ERASED[..ERASED.len().min(len - at)])?;
    }
    Ok(file)
}
