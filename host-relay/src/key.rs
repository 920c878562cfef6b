//! The relay's secrets, in a file that only its owner may read.
//!
//! Clients pin the public half of the link key: whoever loses this file loses the relay's name.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hushwire_core::crypto::{KeyPair, PublicKey, SecretKey, Software, kdf};

const HEADER: &str = "hushwire-relay-key v1";
/// With former keys: a relay that knows of none would shut out who pins one, so it reads none of it.
const HEADER_WITH_FORMER: &str = "hushwire-relay-key v2";
/// Keys that a relay had before and still answers to. Each is one more agreement for a stranger's
/// message 1.
pub const MAX_FORMER: usize = 3;

/// The relay's link key, those that it had before, and the key of the nicknames' hashes.
pub struct RelayKey {
    pub(crate) link: KeyPair,
    pub(crate) names: [u8; 32],
    /// The newest first.
    former: Vec<FormerKey>,
}

/// A link key that the relay had before.
struct FormerKey {
    link: KeyPair,
    /// From then on it is refused, seconds since 1970.
    until_unix_s: u64,
}

/// A public key of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// 66 hexadecimal digits.
    pub public: String,
    /// When the relay stops to answer to it, seconds since 1970; `None` for its present one.
    pub until_unix_s: Option<u64>,
}

impl fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            link: _,
            names: _,
            former,
        } = self;
        write!(
            f,
            "RelayKey({}, {} former, ..)",
            self.public(),
            former.len()
        )
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
    /// Nothing to rotate.
    #[error("{0} does not exist: the relay makes it at its first start")]
    Missing(PathBuf),
    /// As many former keys as there may be.
    #[error(
        "the relay answers to {MAX_FORMER} former keys already; wait for the end of an overlap, or \
         end all of them: hushwire-relay key retire"
    )]
    TooMany,
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
            former: Vec::new(),
        })
    }

    /// What this key file has in common with those before and behind it by rotation, and with no other.
    pub(crate) fn lineage(&self) -> [u8; 32] {
        // No nickname has this byte.
        kdf::hmac(&self.names, &[b"\xffthe relay's lineage"])
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyError`], [`KeyError::Missing`] where there is none.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                check_mode(path)?;
                parse(&text).ok_or_else(|| KeyError::Unreadable(path.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(KeyError::Missing(path.into()))
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(KeyError::Unreadable(path.into()))
            }
            Err(error) => Err(KeyError::Io(path.into(), error)),
        }
    }

    /// Writes a new link key into the file. The one that was there stays good until `overlap` is
    /// over; without an overlap it is gone, and all before it. A relay that runs goes on with what it read.
    ///
    /// # Errors
    /// [`KeyError`]; the file is as it was.
    pub fn rotate(path: &Path, overlap: Duration, now_unix_s: u64) -> Result<Self, KeyError> {
        let Self {
            link,
            names,
            mut former,
        } = Self::load(path)?;
        former.retain(|key| key.until_unix_s > now_unix_s);
        if overlap.is_zero() {
            // It was stolen, and the others were in the same file.
            former.clear();
        } else {
            if former.len() >= MAX_FORMER {
                return Err(KeyError::TooMany);
            }
            let until_unix_s = now_unix_s.saturating_add(overlap.as_secs());
            former.insert(0, FormerKey { link, until_unix_s });
        }
        let fresh = Self {
            names,
            former,
            ..Self::generate()?
        };
        fresh
            .write(path)
            .map_err(|error| KeyError::Io(path.into(), error))?;
        Ok(fresh)
    }

    /// Takes all former keys out of the file.
    ///
    /// # Errors
    /// [`KeyError`]; the file is as it was.
    pub fn retire(path: &Path) -> Result<Self, KeyError> {
        let mut key = Self::load(path)?;
        if !key.former.is_empty() {
            key.former.clear();
            key.write(path)
                .map_err(|error| KeyError::Io(path.into(), error))?;
        }
        Ok(key)
    }

    /// The keys that the relay answers to at that time, its present one first.
    pub(crate) fn links(&self, now_unix_s: u64) -> impl Iterator<Item = &KeyPair> {
        let former = self.former.iter();
        let former = former.filter(move |key| key.until_unix_s > now_unix_s);
        std::iter::once(&self.link).chain(former.map(|key| &key.link))
    }

    /// The present public key.
    pub(crate) const fn current(&self) -> &PublicKey {
        self.link.public()
    }

    /// The same for people, the present one first; also those whose overlap is over.
    #[must_use]
    pub fn known(&self) -> Vec<KnownKey> {
        let present = KnownKey {
            public: self.public(),
            until_unix_s: None,
        };
        let former = self.former.iter().map(|key| KnownKey {
            public: hex::encode(key.link.public().bytes()),
            until_unix_s: Some(key.until_unix_s),
        });
        std::iter::once(present).chain(former).collect()
    }

    /// Reads the file, or makes it with mode 0600 at the first start.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Missing(_)) => {
                let key = Self::generate()?;
                key.write(path)
                    .map_err(|error| KeyError::Io(path.into(), error))?;
                Ok(key)
            }
            loaded => loaded,
        }
    }

    /// The public half as it stands in the relay's URL: 66 hexadecimal digits.
    pub fn public(&self) -> String {
        hex::encode(self.link.public().bytes())
    }

    /// The file appears whole and durable, or not at all: a torn key would lose the relay's name.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let link = hex::encode(self.link.secret().expose());
        let header = match self.former.is_empty() {
            true => HEADER,
            false => HEADER_WITH_FORMER,
        };
        let mut text = format!("{header}\nlink {link}\nnames {}\n", hex::encode(self.names));
        for FormerKey { link, until_unix_s } in &self.former {
            let secret = hex::encode(link.secret().expose());
            text += &format!("former {secret} until {until_unix_s}\n");
        }
        let temporary = path.with_extension("new");
        // What an interrupted write left; or a link that the folder's owner put there, through which root must not write.
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&temporary)?;
        // An operator may do this as root for a relay that runs as somebody else.
        #[cfg(unix)]
        if let Ok(old) = fs::metadata(path) {
            use std::os::unix::fs::{MetadataExt, fchown};
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
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
    let with_former = match lines.next()? {
        HEADER => false,
        HEADER_WITH_FORMER => true,
        _ => return None,
    };
    let mut secret = |name| parse_secret(lines.next()?.strip_prefix(name)?.strip_prefix(' ')?);
    let (link, names) = (secret("link")?, secret("names")?);
    let mut key = RelayKey::from_secrets(&link, names)?;
    if with_former {
        let former: Option<Vec<_>> = lines.map(parse_former).collect();
        key.former = former.filter(|former| former.len() <= MAX_FORMER)?;
    }
    Some(key)
}

fn parse_secret(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

fn parse_former(line: &str) -> Option<FormerKey> {
    let (digits, until) = line.strip_prefix("former ")?.split_once(" until ")?;
    let secret = SecretKey::from_bytes(&mut Software, &parse_secret(digits)?).ok()?;
    Some(FormerKey {
        link: KeyPair::from_secret(&mut Software, secret).ok()?,
        until_unix_s: until.parse().ok()?,
    })
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

    /// Root rotates in a folder that the relay's own user may write to.
    #[cfg(unix)]
    #[test]
    fn a_key_is_written_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("relay.key"), folder.path().join("other"));
        RelayKey::load_or_create(&path).unwrap();
        fs::write(&other, "not the relay's").unwrap();
        std::os::unix::fs::symlink(&other, path.with_extension("new")).unwrap();
        let rotated = RelayKey::rotate(&path, Duration::from_secs(60), 1).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "not the relay's");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        let again = RelayKey::load_or_create(&path).unwrap();
        assert_eq!(again.public(), rotated.public());
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

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_former_key_is_good_until_its_overlap_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        assert!(matches!(
            RelayKey::rotate(&path, DAY, 0),
            Err(KeyError::Missing(_))
        ));
        let first = RelayKey::load_or_create(&path).unwrap();
        RelayKey::rotate(&path, 2 * DAY, 1_000).unwrap();
        let third = RelayKey::rotate(&path, DAY, 2_000).unwrap();

        let read = RelayKey::load_or_create(&path).unwrap();
        assert_eq!(read.known(), third.known());
        assert_eq!(read.names, first.names, "nicknames stay readable");
        let until: Vec<_> = read.known().iter().map(|key| key.until_unix_s).collect();
        assert_eq!(
            until,
            [None, Some(2_000 + 86_400), Some(1_000 + 2 * 86_400)]
        );
        assert_eq!(read.known()[2].public, first.public());
        let good = |now| read.links(now).count();
        assert_eq!(good(2_000 + 86_399), 3);
        assert_eq!(good(2_000 + 86_400), 2);
        assert_eq!(good(1_000 + 2 * 86_400), 1);
        let shown = format!("{read:?}");
        assert!(!shown.contains(&hex::encode(first.link.secret().expose())));
    }

    #[test]
    fn former_keys_leave_the_file_and_are_not_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        let first = RelayKey::load_or_create(&path).unwrap();
        for _ in 0..MAX_FORMER {
            RelayKey::rotate(&path, DAY, 0).unwrap();
        }
        let before = fs::read_to_string(&path).unwrap();
        assert!(matches!(
            RelayKey::rotate(&path, DAY, 0),
            Err(KeyError::TooMany)
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        // Those whose overlap is over leave the file with the next one.
        let next = RelayKey::rotate(&path, DAY, 86_400).unwrap();
        assert_eq!(next.known().len(), 2);
        // A key that was stolen gets no overlap, and those that were in its file have none any more.
        let fresh = RelayKey::rotate(&path, Duration::ZERO, 86_400).unwrap();
        assert_eq!(fresh.known().len(), 1);
        assert_eq!(fresh.lineage(), first.lineage());
        assert_ne!(fresh.lineage(), RelayKey::generate().unwrap().lineage());
        let secret = hex::encode(first.link.secret().expose());
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&secret) && text.starts_with(HEADER));
        RelayKey::rotate(&path, DAY, 0).unwrap();
        assert_eq!(RelayKey::retire(&path).unwrap().known().len(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_with_former_keys_reads_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        RelayKey::load_or_create(&path).unwrap();
        RelayKey::rotate(&path, DAY, 7).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(parse(&text).is_some());
        let line = text.lines().last().unwrap();
        for bad in [
            text.replace(" until ", " "),
            text.replace(" until ", " until x"),
            text.replace(line, "former 00 until 9"),
            text.clone() + "more\n",
            text.clone() + &format!("{line}\n").repeat(MAX_FORMER),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }
}
