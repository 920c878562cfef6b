//! The relays that this vault uses, by link number.

use hushwire_core::{limits::MAX_LINKS, storage::RelayMark};
use serde::{Deserialize, Serialize};

use super::{
    Vault, VaultError,
    records::{Key, Table},
};
use crate::card::RelayUrl;

/// The link of the home relay: the mailbox, the one-time prekeys and the nicknames are there.
pub const HOME: u8 = 0;

/// One relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Relay {
    url: String,
    /// Store epoch and next sequence that were seen last.
    pub(super) seen: Option<(u64, u64)>,
}

impl Relay {
    pub(super) fn new(url: &RelayUrl, seen: Option<(u64, u64)>) -> Self {
        Self {
            url: url.to_string(),
            seen,
        }
    }

    pub(super) fn mark(&self) -> Option<RelayMark> {
        self.seen.map(|(epoch, next_sequence)| RelayMark {
            epoch,
            next_sequence,
        })
    }
}

impl Vault {
    /// Every relay and its link.
    pub(crate) fn relays(&self) -> Vec<(u8, RelayUrl)> {
        let relays = self.relays.iter();
        relays
            .filter_map(|(link, relay)| Some((*link, relay.url.parse().ok()?)))
            .collect()
    }

    /// The relay of a link.
    pub(crate) fn relay(&self, link: u8) -> Option<RelayUrl> {
        self.relays.get(&link)?.url.parse().ok()
    }

    /// The link to a relay; a new one if there is none yet. `None`: there are as many as there can be.
    ///
    /// A relay is its key, whatever way leads to it: two links of one identity to the same relay
    /// would end each other. PROTOCOL 3.7. At one place there is one relay, too, and a URL with several
    /// places is at each of them: a card that names another key for one of them is older or newer
    /// than what is pinned here, and does not change that.
    pub(crate) fn link_to(&mut self, url: &RelayUrl) -> Result<Option<u8>, VaultError> {
        let key = self.present_key(&url.key)?;
        let known = self.relays();
        let by_key = known.iter().find(|(_, known)| known.key == key);
        let same_place = |known: &RelayUrl| known.shares_a_host(&url.authority);
        let known = by_key.or_else(|| known.iter().find(|(_, known)| same_place(known)));
        if let Some((link, _)) = known {
            return Ok(Some(*link));
        }
        let free = (0..MAX_LINKS as u8).find(|link| !self.relays.contains_key(link));
        if let Some(link) = free {
            self.save_relay(link, Relay::new(url, None))?;
        }
        Ok(free)
    }

    /// Another place or key for a link: the relay has moved.
    pub(crate) fn move_relay(&mut self, link: u8, url: &RelayUrl) -> Result<(), VaultError> {
        self.save_relay(link, Relay::new(url, None))
    }

    pub(super) fn save_relay(&mut self, link: u8, relay: Relay) -> Result<(), VaultError> {
        self.records
            .stage(Key::number(Table::Relay, u64::from(link)), &relay)?;
        self.relays.insert(link, relay);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::identity::{IdentityKeys as _, SoftwareIdentity};

    use super::super::{Unlock, make_key_file};
    use super::*;

    fn url(authority: &str, key: u8) -> RelayUrl {
        let seed = [key; SoftwareIdentity::SEED_LEN];
        let identity = SoftwareIdentity::from_seed(&mut hushwire_core::crypto::Software, &seed);
        RelayUrl {
            way: crate::card::Way::Tcp,
            authority: authority.into(),
            key: *identity.unwrap().public().agreement(),
        }
    }

    #[test]
    fn a_relay_at_several_places_has_one_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault-key");
        make_key_file(&path).unwrap();
        let seed = zeroize::Zeroizing::new([7; 32]);
        let mut vault = Vault::create(folder.path(), &Unlock::KeyFile(path), &seed).unwrap();
        vault.move_relay(HOME, &url("a:1,b:1,c:1", 1)).unwrap();
        let mut link = |authority, key| vault.link_to(&url(authority, key)).unwrap();
        // The same key: the same relay, wherever a card says that it is.
        for authority in ["a:1,b:1,c:1", "c:1", "b:1,a:1", "d:1,c:1", "elsewhere:9"] {
            assert_eq!(link(authority, 1), Some(HOME), "{authority}");
        }
        // One place in common: the same relay with a key of another time.
        for authority in ["a:1", "c:1", "C:1", "d:1,b:1"] {
            assert_eq!(link(authority, 2), Some(HOME), "{authority}");
        }
        // Neither.
        assert_eq!(link("a:2,bb:1", 3), Some(1));
        assert_eq!(link("bb:1,x:1", 4), Some(1));
        assert_eq!(link("x:1", 5), Some(2));
        assert_eq!(vault.relays().len(), 3);
    }
}
