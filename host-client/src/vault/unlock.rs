//! What opens a vault: a passphrase, or a file of 32 random bytes for services.
//!
//! The vault's storage key is random; the header holds it sealed under what comes from here, so a
//! new passphrase rewrites one record and nothing else.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use hushwire_core::snapshot::StorageKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::VaultError;

/// What the user has to show.
#[derive(Clone)]
pub enum Unlock {
    /// A passphrase, stretched with argon2id.
    Passphrase(Zeroizing<String>),
    /// A file of 32 random bytes that only its owner may read.
    KeyFile(PathBuf),
}

impl std::fmt::Debug for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(..)"),
            Self::KeyFile(path) => f.debug_tuple("KeyFile").field(path).finish(),
        }
    }
}

impl Unlock {
    /// A passphrase.
    #[must_use]
    pub fn passphrase(text: &str) -> Self {
        Self::Passphrase(Zeroizing::new(text.to_owned()))
    }

    /// The error of a secret that does not open.
    pub(super) fn wrong(&self) -> VaultError {
        match self {
            Self::Passphrase(_) => VaultError::WrongPassphrase,
            Self::KeyFile(path) => VaultError::WrongKeyFile(path.clone()),
        }
    }
}

/// How the storage key is sealed; stands in the vault's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stretch {
    /// argon2id (RFC 9106) of a passphrase.
    Argon2id {
        salt: [u8; 16],
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    },
    /// The key file's bytes as they are.
    KeyFile,
}

/// RFC 9106 4, the second recommended choice: 64 MiB, three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// A header that asks for more is damaged: nobody waits for a hostile one.
const MOST_MEMORY_KIB: u32 = 2 * 1024 * 1024;
const MOST_PASSES: u32 = 64;

impl Stretch {
    /// Fresh parameters for a new header.
    pub(super) fn fresh(unlock: &Unlock) -> Result<Self, VaultError> {
        Ok(match unlock {
            Unlock::KeyFile(_) => Self::KeyFile,
            Unlock::Passphrase(_) => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|_| VaultError::Randomness)?;
                Self::Argon2id {
                    salt,
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                    lanes: LANES,
                }
            }
        })
    }

    /// The key that seals the storage key.
    pub(super) fn key(&self, unlock: &Unlock) -> Result<StorageKey, VaultError> {
        match (self, unlock) {
            (Self::KeyFile, Unlock::KeyFile(path)) => read_key_file(path),
            (Self::Argon2id { .. }, Unlock::Passphrase(text)) => self.stretch(text),
            (Self::KeyFile, _) => Err(VaultError::OtherSecret("a key file: give --key-file FILE")),
            (Self::Argon2id { .. }, _) => Err(VaultError::OtherSecret("a passphrase")),
        }
    }

    fn stretch(&self, passphrase: &str) -> Result<StorageKey, VaultError> {
        let damaged = || VaultError::damaged("the header's argon2id parameters");
        let Self::Argon2id {
            salt,
            memory_kib,
            passes,
            lanes,
        } = *self
        else {
            return Err(damaged());
        };
        if memory_kib > MOST_MEMORY_KIB || passes > MOST_PASSES {
            return Err(damaged());
        }
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| damaged())?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut *key)
            .map_err(|_| damaged())?;
        Ok(StorageKey::from_bytes(*key))
    }
}

/// Makes a key file, unless one is there.
///
/// # Errors
/// [`VaultError::KeyFile`].
pub fn make_key_file(path: &Path) -> Result<(), VaultError> {
    let refuse = |error: std::io::Error| unusable(path, error.to_string());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(refuse(error)),
    };
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|_| VaultError::Randomness)?;
    file.write_all(&*key)
        .and_then(|()| file.sync_all())
        .map_err(refuse)
}

fn read_key_file(path: &Path) -> Result<StorageKey, VaultError> {
    let refuse = |error: std::io::Error| unusable(path, error.to_string());
    check_mode(path, &fs::metadata(path).map_err(refuse)?)?;
    let bytes = Zeroizing::new(fs::read(path).map_err(refuse)?);
    let key: Zeroizing<[u8; 32]> = bytes
        .as_slice()
        .try_into()
        .map(Zeroizing::new)
        .map_err(|_| unusable(path, "it must hold exactly 32 bytes".into()))?;
    Ok(StorageKey::from_bytes(*key))
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), VaultError> {
    use std::os::unix::fs::PermissionsExt as _;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(unusable(
            path,
            "others may read it; run chmod 600 on it if none did".into(),
        )),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), VaultError> {
    Ok(())
}

fn unusable(path: &Path, cause: String) -> VaultError {
    VaultError::KeyFile {
        path: path.into(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make_key_file(&path).unwrap();
        let first = fs::read(&path).unwrap();
        make_key_file(&path).unwrap();
        assert_eq!((first.len(), fs::read(&path).unwrap()), (32, first));
        assert!(read_key_file(&path).is_ok());
        fs::write(&path, [1; 31]).unwrap();
        assert!(read_key_file(&path).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make_key_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let text = read_key_file(&path).err().unwrap().to_string();
        assert!(text.contains("chmod 600"), "{text}");
    }

    #[test]
    fn a_header_cannot_ask_for_all_memory() {
        let greedy = Stretch::Argon2id {
            salt: [0; 16],
            memory_kib: u32::MAX,
            passes: 3,
            lanes: 1,
        };
        assert!(matches!(greedy.stretch("x"), Err(VaultError::Damaged(_))));
    }

    #[test]
    fn debug_shows_no_passphrase() {
        assert_eq!(
            format!("{:?}", Unlock::passphrase("hunter2")),
            "Passphrase(..)"
        );
    }
}
