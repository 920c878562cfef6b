//! Relays that move while links to them are up.

use std::collections::BTreeMap;

use hushwire_core::crypto::{PublicKey, Software};

use super::{Driver, Signal};
use crate::{
    card::RelayUrl,
    error::Error,
    vault::{Moved, VaultError},
};

/// Where links lead that did not when they began, by number.
pub(crate) type Moves = BTreeMap<u8, Move>;

/// Where a link leads now.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    /// `None`: nowhere any more.
    pub(crate) url: Option<RelayUrl>,
    /// Whether the connection that is up is of no use any more.
    pub(crate) at_once: bool,
}

impl Driver {
    /// The relay of a link says which key it has now. PROTOCOL 3.9
    pub(super) fn relay_key(
        &mut self,
        link: u8,
        point: &[u8; PublicKey::LEN],
    ) -> Result<(), VaultError> {
        let made_to = self.links.get(&link).map(|up| up.key);
        let told = PublicKey::parse(&mut Software, point);
        let (Some(made_to), Ok(told)) = (made_to, told) else {
            return Ok(());
        };
        if !self.vault.believes(link, &made_to, &told) {
            return Ok(());
        }
        if let Some(twin) = self.vault.twin(link, &told) {
            self.down(link.max(twin));
        }
        let moved = self.vault.adopt_key(link, told)?;
        let text = format!(
            "The relay {} has a new key: it said so inside the link to its old one, and the new one \
             is pinned now. Contact cards that you give out from now on carry it; old ones work as \
             long as the relay answers to the old key.",
            moved.url.authority
        );
        self.vault.keep_alarm(text.clone())?;
        self.vault.flush()?;
        // The link goes on as it is, for it is to the same relay; the next one is to the new key.
        self.tell_links(moved, false);
        let _ = self.signals.send(Signal::Alarm(text));
        Ok(())
    }

    /// The user says where a relay is now: the one at `replaces`, or the one with that key.
    pub(crate) fn move_relay(
        &mut self,
        url: RelayUrl,
        replaces: Option<&str>,
    ) -> Result<(), Error> {
        let place = replaces.unwrap_or(&url.authority);
        let relays = self.vault.relays();
        let at = |wanted: &dyn Fn(&RelayUrl) -> bool| {
            let found = relays.iter().find(|(_, known)| wanted(known));
            found.map(|(link, _)| *link)
        };
        let by_place = at(&|known| known.shares_a_host(place));
        let by_key = || at(&|known| known.key == url.key);
        let link = match replaces {
            Some(_) => by_place,
            None => by_place.or_else(by_key),
        };
        let link = link.ok_or_else(|| Error::UnknownRelay(place.to_owned()))?;
        if let Some(twin) = self.vault.twin(link, &url.key) {
            self.down(link.max(twin));
        }
        let same_key = self
            .vault
            .relay(link)
            .is_some_and(|known| known.key == url.key);
        let moved = self.vault.change_relay(link, url, same_key)?;
        self.vault.flush()?;
        self.tell_links(moved, true);
        Ok(())
    }

    /// The link to a relay, which may be a new one.
    pub(crate) fn link_to(&mut self, url: &RelayUrl) -> Result<u8, Error> {
        let link = self.vault.link_to(url)?.ok_or(Error::TooManyRelays)?;
        // The number may have been another relay's, which is no more.
        self.moves.send_if_modified(|moves| {
            let gone = moves.get(&link).is_some_and(|moved| moved.url.is_none());
            gone && moves.remove(&link).is_some()
        });
        Ok(link)
    }

    fn tell_links(&mut self, moved: Moved, at_once: bool) {
        let Moved { link, url, gone } = moved;
        self.moves.send_modify(|moves| {
            let url = Some(url);
            moves.insert(link, Move { url, at_once });
            let nowhere = Move {
                url: None,
                at_once: true,
            };
            moves.extend(gone.map(|gone| (gone, nowhere)));
        });
        if let Some(gone) = gone {
            self.states.send_modify(|states| {
                states.remove(&gone);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::{
        crypto::{KeyPair, SecretKey},
        wire::{
            answer::{Answer, Welcome},
            frame,
        },
    };
    use tokio::sync::{broadcast, mpsc, watch};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        driver::LinkStates,
        net::LinkInput,
        vault::{HOME, Unlock, Vault, make_key_file},
    };

    fn key(n: u8) -> PublicKey {
        let secret = SecretKey::from_bytes(&mut Software, &[n; 32]).unwrap();
        *KeyPair::from_secret(&mut Software, secret)
            .unwrap()
            .public()
    }

    fn driver(folder: &std::path::Path) -> Driver {
        let unlock = Unlock::KeyFile(folder.join("key"));
        make_key_file(&folder.join("key")).unwrap();
        let mut vault = Vault::create(folder, &unlock, &Zeroizing::new([7; 32])).unwrap();
        let url = format!("hush://home:1/#{}", hex::encode(key(1).bytes()));
        vault.move_relay(HOME, &url.parse().unwrap()).unwrap();
        vault.flush().unwrap();
        let (signals, _) = broadcast::channel(8);
        let (states, moves) = (LinkStates::new(), Moves::new());
        let (states, moves) = (watch::Sender::new(states), watch::Sender::new(moves));
        Driver::new(vault, signals, states, moves).unwrap()
    }

    /// A link to `made_to` over which the relay says that its key is `told`.
    fn announce(driver: &mut Driver, generation: u64, made_to: u8, told: [u8; 33]) {
        let (records, _) = mpsc::unbounded_channel();
        let up = LinkInput::Up {
            key: key(made_to),
            records,
            max_plaintext: 30_000,
            max_frame: 17_000,
        };
        driver.handle_link(HOME, generation, up);
        let welcome = Answer::Welcome(Welcome {
            epoch: 1,
            next_sequence: 1,
            unix_seconds: 0,
            waiting: 0,
            prekeys: 0,
            bundle_counter: 0,
        });
        let mut record = vec![0; 256];
        let len = frame::append(&mut record, 0, |room| welcome.emit(room)).unwrap();
        let told = Answer::RelayKey(told);
        let len = frame::append(&mut record, len, |room| told.emit(room)).unwrap();
        record.truncate(len);
        driver.handle_link(HOME, generation, LinkInput::Record(record));
    }

    fn pinned(driver: &Driver) -> PublicKey {
        driver.vault.relay(HOME).unwrap().key
    }

    #[test]
    fn only_a_link_to_the_pinned_key_moves_the_pin() {
        let folder = tempfile::tempdir().unwrap();
        let mut driver = driver(folder.path());
        announce(&mut driver, 1, 9, *key(2).bytes());
        assert_eq!(pinned(&driver), key(1), "a link to another key");
        announce(&mut driver, 2, 1, [5; 33]);
        assert_eq!(pinned(&driver), key(1), "no point of the curve");
        announce(&mut driver, 3, 1, *key(1).bytes());
        assert!(driver.vault.alarms(9).unwrap().is_empty(), "no news");

        announce(&mut driver, 4, 1, *key(2).bytes());
        assert_eq!(pinned(&driver), key(2));
        let alarms = driver.vault.alarms(9).unwrap();
        assert!(alarms.len() == 1 && alarms[0].text.contains("has a new key"));
        // The old key has said its last word.
        announce(&mut driver, 5, 1, *key(3).bytes());
        assert_eq!(pinned(&driver), key(2));
    }

    #[test]
    fn a_record_of_a_link_that_was_is_not_heard() {
        let folder = tempfile::tempdir().unwrap();
        let mut driver = driver(folder.path());
        let url = format!("hush://home:1/#{}", hex::encode(key(4).bytes()));
        announce(&mut driver, 1, 1, *key(1).bytes());
        driver.move_relay(url.parse().unwrap(), None).unwrap();
        // The user has pinned another key while the link to the first one was up.
        let mut record = vec![0; 64];
        let told = Answer::RelayKey(*key(2).bytes());
        let len = frame::append(&mut record, 0, |room| told.emit(room)).unwrap();
        record.truncate(len);
        driver.handle_link(HOME, 1, LinkInput::Record(record));
        assert_eq!(pinned(&driver), key(4));
        assert!(matches!(
            driver.move_relay(
                url.replace("home", "new").parse().unwrap(),
                Some("nowhere:1")
            ),
            Err(Error::UnknownRelay(_))
        ));
    }
}
