//! What can go wrong with a vault, as sentences that say what to do.

use std::{io::ErrorKind, path::PathBuf};

/// Why a vault cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is none in the folder.
    #[error("there is no vault in {0}; make one with: hushwire init --relay URL")]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a vault in {0} already; choose another folder with --vault, or move it away")]
    Exists(PathBuf),
    /// The passphrase does not open it.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The key file does not open it.
    #[error("the key file {0} is not this vault's")]
    WrongKeyFile(PathBuf),
    /// It opens with the other kind of secret.
    #[error("this vault is opened with {0}")]
    OtherSecret(&'static str),
    /// The key file itself.
    #[error("the key file {path} cannot be used: {cause}")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Made by a newer build.
    #[error(
        "the vault has format {found}, this build knows formats up to {known}: use a newer one"
    )]
    Newer {
        /// The vault's format.
        found: u16,
        /// This build's.
        known: u16,
    },
    /// Something in it does not read.
    #[error(
        "the vault is damaged ({0}); it was left as it is. Bring back a copy of the folder, or \
         move it away and use your words with: hushwire restore"
    )]
    Damaged(String),
    /// Another process has it.
    #[error("another process uses the vault in {0}")]
    InUse(PathBuf),
    /// The disk.
    #[error("the vault cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes")]
    Randomness,
}

impl VaultError {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

impl From<redb::StorageError> for VaultError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            // What should be there is cut off, or something else.
            redb::StorageError::Io(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::InvalidData | ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Io(error)
            }
            other => Self::damaged(other.to_string()),
        }
    }
}

macro_rules! through_storage {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for VaultError {
            fn from(error: redb::$error) -> Self {
                match error {
                    redb::$error::Storage(error) => error.into(),
                    other => Self::damaged(other.to_string()),
                }
            }
        }
    )+};
}

through_storage!(DatabaseError, TableError, TransactionError, CommitError);
