//! A file of fixed size on the host, made at its first use.

use super::semihosting::{HostFile, Mode, Refused};

/// Opens a file of `len` bytes, or makes one that is full of 0xff, as new flash is.
pub(super) fn open_or_make(path: &str, len: usize) -> Result<HostFile, Refused> {
    if let Ok(file) = HostFile::open(path, Mode::ReadWrite)
        && file.len() >= len
    {
        return Ok(file);
    }
    let mut file = HostFile::open(path, Mode::Create)?;
    for at in (0..len).step_by(256) {
        file.write(at, &[0xff; 256][..256.min(len - at)])?;
    }
    Ok(file)
}
