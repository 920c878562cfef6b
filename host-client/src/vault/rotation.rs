//! A relay gets another key or place: told by itself, inside a link to its old key, or by the user.

use hushwire_core::{crypto::PublicKey, crypto::Software, limits::HOST_MAX_SKIP, peer::Peer};

use super::{
    Vault, VaultError,
    records::{Key, Table},
    relay::Relay,
};
use crate::card::RelayUrl;

/// Keys that are followed from a card's old one to the present one.
const STEPS: usize = 64;

/// What a change of relays leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The link, and where it leads now.
    pub(crate) link: u8,
    pub(crate) url: RelayUrl,
    /// A link that led to the same relay, and is no more.
    pub(crate) gone: Option<u8>,
}

impl Vault {
    /// Whether the relay of `link` may say over a link to `made_to` that its key is `told`. It may
    /// where `made_to` is what is pinned for it now, and `told` is news. PROTOCOL 3.9
    pub(crate) fn believes(&self, link: u8, made_to: &PublicKey, told: &PublicKey) -> bool {
        let pinned = self.relay(link).map(|url| url.key);
        pinned.as_ref() == Some(made_to) && told != made_to
    }

    /// Another link to the relay with this key.
    pub(crate) fn twin(&self, link: u8, key: &PublicKey) -> Option<u8> {
        let mut relays = self.relays().into_iter();
        let twin = relays.find(|(other, url)| *other != link && url.key == *key);
        twin.map(|(other, _)| other)
    }

    /// Pins `told` for the relay of `link`, and remembers that the old key was the same relay's.
    /// Staged only.
    pub(crate) fn adopt_key(&mut self, link: u8, told: PublicKey) -> Result<Moved, VaultError> {
        let missing = || VaultError::damaged("a link has no relay");
        let old = self.relay(link).ok_or_else(missing)?;
        let former = self.records.blind(Table::Former, &[old.key.bytes()]);
        self.records.stage(former, &told.bytes().to_vec())?;
        let url = RelayUrl { key: told, ..old };
        // Its store is the same: what was seen of it stays seen.
        self.change_relay(link, url, true)
    }

    /// The user says where the relay of `link` is now. Staged only.
    pub(crate) fn change_relay(
        &mut self,
        link: u8,
        url: RelayUrl,
        same_store: bool,
    ) -> Result<Moved, VaultError> {
        let seen = self.relays.get(&link).and_then(|relay| relay.seen);
        let seen = seen.filter(|_| same_store);
        let Some(twin) = self.twin(link, &url.key) else {
            self.save_relay(link, Relay::new(&url, seen))?;
            let gone = None;
            return Ok(Moved { link, url, gone });
        };
        // Two links of one identity to one relay would end each other. The lower one stays, so that
        // the home relay's does.
        let (stays, goes) = (link.min(twin), link.max(twin));
        self.save_relay(stays, Relay::new(&url, seen))?;
        self.merge(goes, stays)?;
        Ok(Moved {
            link: stays,
            url,
            gone: Some(goes),
        })
    }

    /// Everything that went over one link goes over another.
    fn merge(&mut self, from: u8, into: u8) -> Result<(), VaultError> {
        let contacts = self.contacts().filter(|contact| {
            let pinned = contact.pinned.as_ref();
            contact.link == from || pinned.is_some_and(|pinned| pinned.link == from)
        });
        for mut contact in contacts.cloned().collect::<Vec<_>>() {
            if contact.link == from {
                contact.link = into;
            }
            if let Some(pinned) = contact.pinned.as_mut().filter(|pinned| pinned.link == from) {
                pinned.link = into;
            }
            self.save_contact(contact)?;
        }
        // Conversations in memory are on the disk as well, if older: their link is the same.
        let mut peers = Vec::new();
        self.records.each(Table::Conversation, |bytes| {
            let decoded = Peer::<HOST_MAX_SKIP>::decode(bytes);
            let (peer, _) =
                decoded.map_err(|_| VaultError::damaged("a conversation does not decode"))?;
            peers.extend((peer.link == from).then_some(peer.address));
            Ok(())
        })?;
        for who in peers {
            if let Some(conversation) = self.load_conversation(&who)? {
                conversation.peer.link = into;
                self.save_conversation(&who)?;
            }
        }
        for (order, mut entry) in self.outbox.on_link(from) {
            entry.link = into;
            self.outbox.update(order, &entry);
            self.save_entry(order)?;
        }
        self.relays.remove(&from);
        self.records
            .stage_removal(Key::number(Table::Relay, u64::from(from)));
        Ok(())
    }

    /// The key that a relay has now, as far as this vault was told, of one that it has or had.
    pub(crate) fn present_key(&self, key: &PublicKey) -> Result<PublicKey, VaultError> {
        let mut key = *key;
        for _ in 0..STEPS {
            let former = self.records.blind(Table::Former, &[key.bytes()]);
            let next: Option<Vec<u8>> = self.records.read(&former)?;
            let next = next.and_then(|bytes| bytes.try_into().ok());
            let next = next.and_then(|bytes| PublicKey::parse(&mut Software, &bytes).ok());
            match next {
                Some(next) => key = next,
                None => break,
            }
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::{
        identity::Address,
        peer::Standing,
        session::Kind,
        storage::{OutboxEntry, OutboxState, Storage as _},
        wire::MessageId,
    };
    use zeroize::Zeroizing;

    use super::*;
    use crate::vault::{Contact, HOME, Unlock, make_key_file};

    /// Points of the curve that are nobody's in particular.
    fn key(n: u8) -> PublicKey {
        use hushwire_core::crypto::{KeyPair, SecretKey};
        let secret = SecretKey::from_bytes(&mut Software, &[n; 32]).unwrap();
        *KeyPair::from_secret(&mut Software, secret)
            .unwrap()
            .public()
    }

    fn url(place: &str, key: PublicKey) -> RelayUrl {
        let url = format!("hush://{place}/#{}", hex::encode(key.bytes()));
        url.parse().unwrap()
    }

    fn vault(folder: &std::path::Path) -> (Vault, Unlock) {
        let unlock = Unlock::KeyFile(folder.join("key"));
        make_key_file(&folder.join("key")).unwrap();
        let mut vault = Vault::create(folder, &unlock, &Zeroizing::new([7; 32])).unwrap();
        vault.move_relay(HOME, &url("home:1", key(1))).unwrap();
        vault.flush().unwrap();
        (vault, unlock)
    }

    #[test]
    fn only_the_pinned_key_speaks_for_a_relay() {
        let folder = tempfile::tempdir().unwrap();
        let (vault, _) = vault(folder.path());
        assert!(vault.believes(HOME, &key(1), &key(2)));
        assert!(!vault.believes(HOME, &key(1), &key(1)));
        assert!(!vault.believes(HOME, &key(3), &key(2)));
        assert!(!vault.believes(1, &key(1), &key(2)));
    }

    #[test]
    fn a_new_key_stays_and_cards_with_former_ones_lead_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, unlock) = vault(folder.path());
        let mark = hushwire_core::storage::RelayMark {
            epoch: 5,
            next_sequence: 6,
        };
        vault.save_relay_mark(HOME, mark).unwrap();
        vault.adopt_key(HOME, key(2)).unwrap();
        vault.adopt_key(HOME, key(3)).unwrap();
        vault.flush().unwrap();
        drop(vault);
        let mut vault = Vault::open(folder.path(), &unlock).unwrap();
        assert_eq!(vault.relays(), [(HOME, url("home:1", key(3)))]);
        assert_eq!(vault.relay_mark(HOME).unwrap(), Some(mark));
        for old in [1, 2, 3] {
            let card = url("elsewhere:9", key(old));
            assert_eq!(vault.link_to(&card).unwrap(), Some(HOME), "{old}");
        }
        assert_eq!(vault.link_to(&url("other:1", key(4))).unwrap(), Some(1));
    }

    #[test]
    fn keys_that_follow_each_other_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, _) = vault(folder.path());
        vault.adopt_key(HOME, key(2)).unwrap();
        vault.adopt_key(HOME, key(1)).unwrap();
        assert!(vault.link_to(&url("home:1", key(1))).unwrap().is_some());
    }

    #[test]
    fn two_links_to_one_relay_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, unlock) = vault(folder.path());
        let twin = vault.link_to(&url("home:2", key(2))).unwrap().unwrap();
        let other = vault.link_to(&url("other:1", key(9))).unwrap().unwrap();
        let (bob, carol) = (Address([2; 20]), Address([3; 20]));
        for (who, link) in [(bob, twin), (carol, other)] {
            vault
                .create(Peer::new(who, Standing::Contact, link))
                .unwrap();
        }
        let contact = Contact {
            name: "bob".into(),
            address: bob,
            link: twin,
            verified: true,
            blocked: false,
            pinned: None,
            former: Vec::new(),
            added_at: 0,
        };
        vault.save_contact(contact).unwrap();
        let entry = OutboxEntry {
            to: bob,
            id: MessageId([1; 16]),
            kind: Kind::DATA,
            link: twin,
            state: OutboxState::Queued,
            due: 0,
            attempts: 0,
        };
        vault.push(&entry, b"hello").unwrap();
        vault.flush().unwrap();

        let moved = vault.adopt_key(HOME, key(2)).unwrap();
        assert_eq!((moved.link, moved.gone), (HOME, Some(twin)));
        vault.flush().unwrap();
        drop(vault);
        let mut vault = Vault::open(folder.path(), &unlock).unwrap();
        let relays = [
            (HOME, url("home:1", key(2))),
            (other, url("other:1", key(9))),
        ];
        assert_eq!(vault.relays(), relays);
        assert_eq!(vault.contact("bob").unwrap().link, HOME);
        let link = |vault: &mut Vault, who| vault.conversation(&who).unwrap().unwrap().peer.link;
        assert_eq!(link(&mut vault, bob), HOME);
        assert_eq!(link(&mut vault, carol), other);
        let due = vault.next_due(1, 1 << HOME).unwrap().unwrap();
        assert_eq!((due.to, due.link), (bob, HOME));
        // The number is free for another relay.
        assert_eq!(vault.link_to(&url("new:1", key(8))).unwrap(), Some(twin));
    }
}
