//! The storage key and the anchor in a file of the host that stands for protected memory.

use hushwire_firmware::board::Keeper;

use super::files::open_or_make;
use super::semihosting::{HostFile, Refused};

/// mark 8 ‖ key 32 ‖ anchor u64
const SIZE: usize = 48;
const MARK: [u8; 8] = *b"HW key 1";

/// Keeps the key.
#[derive(Debug)]
pub(crate) struct FileKeeper(HostFile);

impl FileKeeper {
    /// Opens the file, or makes a new one.
    pub(super) fn open(path: &str) -> Result<Self, Refused> {
        open_or_make(path, SIZE).map(Self)
    }

    fn field<const N: usize>(&mut self, at: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read(at, &mut bytes).ok().map(|()| bytes)
    }
}

impl Keeper for FileKeeper {
    fn key(&mut self) -> Option<[u8; 32]> {
        (self.field(0)? == MARK).then(|| self.field(8))?
    }

    fn keep(&mut self, key: &[u8; 32]) -> bool {
        // The mark last: a key that the power cut short is none.
        self.0.write(8, key).is_ok() && self.0.write(0, &MARK).is_ok()
    }

    fn forget(&mut self) {
        // What cannot be overwritten stays: the caller finds the key again, and says so.
        let _ = self.0.write(0, &[0xff; 40]);
    }

    fn anchor(&mut self) -> Option<u64> {
        let stored = u64::from_le_bytes(self.field(40)?);
        Some(if stored == u64::MAX { 0 } else { stored })
    }

    fn raise(&mut self, to: u64) {
        if self.anchor().is_some_and(|now| now < to) {
            // As in `forget`.
            let _ = self.0.write(40, &to.to_le_bytes());
        }
    }
}
