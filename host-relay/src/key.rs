//! The relay's secrets, in a file that only its owner may read.
//!
//! Clients pin the public half of the link key: whoever loses this file loses the relay's name.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use hushwire_core::crypto::{KeyPair, SecretKey, Software};

const HEADER: &str = "hushwire-relay-key v1";

/// The relay's link key, and the key of the nicknames' hashes.
pub struct RelayKey {
    pub(crate) link: KeyPair,
    pub(crate) names: [u8; 32],
}

impl fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link: _, names: _ } = self;
        write!(f, "RelayKey({}, ..)", self.public())
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {0} cannot be used: {1}")]
    Io(PathBuf, std::io::Error),
    /// Others may read it.
    #[error("others may read the key file {0} (mode {1:03o}); if none did, run: chmod 600 {0}")]
    TooOpen(PathBuf, u32),
    /// Not a key file.
    #[error("{0} is not a relay's key file; restore it from a back-up (clients pin its key)")]
    Unreadable(PathBuf),
    /// No randomness, or none that makes a key.
    #[error("no key could be made: {0}")]
    Making(String),
}

impl RelayKey {
    /// Fresh keys.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secrets = [[0; 32]; 2];
        getrandom::fill(secrets.as_flattened_mut())
            .map_err(|error| KeyError::Making(error.to_string()))?;
        let [link, names] = secrets;
        Self::from_secrets(&link, names).ok_or_else(|| KeyError::Making("try again".into()))
    }

    fn from_secrets(link: &[u8; 32], names: [u8; 32]) -> Option<Self> {
        let secret = SecretKey::from_bytes(&mut Software, link).ok()?;
        Some(Self {
            link: KeyPair::from_secret(&mut Software, secret).ok()?,
            names,
        })
    }

    /// Reads the file, or makes it with mode 0600 at the first start.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                check_mode(path)?;
                parse(&text).ok_or_else(|| KeyError::Unreadable(path.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = Self::generate()?;
                key.write(path)
                    .map_err(|error| KeyError::Io(path.into(), error))?;
                Ok(key)
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(KeyError::Unreadable(path.into()))
            }
            Err(error) => Err(KeyError::Io(path.into(), error)),
        }
    }

    /// The public half as it stands in the relay's URL: 66 hexadecimal digits.
    pub fn public(&self) -> String {
        hex::encode(self.link.public().bytes())
    }

    /// The file appears whole and durable, or not at all: a torn key would lose the relay's name.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let link = hex::encode(self.link.secret().expose());
        let text = format!("{HEADER}\nlink {link}\nnames {}\n", hex::encode(self.names));
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<RelayKey> {
    let mut lines = text.lines();
    if lines.next()? != HEADER {
        return None;
    }
    let mut secret = |name| {
        let mut bytes = [0; 32];
        let digits = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(bytes)
    };
    let (link, names) = (secret("link")?, secret("names")?);
    RelayKey::from_secrets(&link, names)
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|error| KeyError::Io(path.into(), error))?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(KeyError::TooOpen(path.into(), mode)),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        let first = RelayKey::load_or_create(&path).unwrap();
        let again = RelayKey::load_or_create(&path).unwrap();
        assert_eq!(first.public(), again.public());
        assert_eq!(first.names, again.names);
        assert_eq!(first.public().len(), 66);
        let secret = hex::encode(first.link.secret().expose());
        assert!(!format!("{first:?}").contains(&secret));
        assert!(fs::read_to_string(&path).unwrap().contains(&secret));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        RelayKey::load_or_create(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for mode in [0o640, 0o604, 0o660, 0o700 | 0o001] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = RelayKey::load_or_create(&path);
            assert!(matches!(refused, Err(KeyError::TooOpen(_, found)) if found == mode));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(RelayKey::load_or_create(&path).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        let key = RelayKey::load_or_create(&path).unwrap();
        let zero = format!("{HEADER}\nlink {0}\nnames {0}\n", "00".repeat(32));
        for text in ["", "something", zero.as_str()] {
            fs::write(&path, text).unwrap();
            assert!(matches!(
                RelayKey::load_or_create(&path),
                Err(KeyError::Unreadable(_))
            ));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        key.write(&path).unwrap();
        assert_eq!(
            RelayKey::load_or_create(&path).unwrap().public(),
            key.public()
        );
    }
}
