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
    /// would end each other. PROTOCOL 3.7. At one place there is one relay, too: a card that names
    /// another key for it is older or newer than what is pinned here, and does not change that.
    pub(crate) fn link_to(&mut self, url: &RelayUrl) -> Result<Option<u8>, VaultError> {
        let key = self.present_key(&url.key)?;
        let known = self.relays();
        let by_key = known.iter().find(|(_, known)| known.key == key);
        let same_place = |known: &RelayUrl| known.authority == url.authority;
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
