//! The vault as its endpoint and its user see it.

use hushwire_core::{
    identity::Address,
    peer::{Peer, Standing},
    session::Kind,
    storage::{Event, Incoming, OutboxEntry, OutboxState, Storage as _},
    wire::MessageId,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;

const BOB: Address = Address([2; 20]);
const CAROL: Address = Address([3; 20]);

struct Place {
    folder: TempDir,
    unlock: Unlock,
}

fn vault() -> (Place, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    make_key_file(&path).unwrap();
    let unlock = Unlock::KeyFile(path);
    let vault = Vault::create(folder.path(), &unlock, &Zeroizing::new([7; 32])).unwrap();
    (Place { folder, unlock }, vault)
}

impl Place {
    fn open(&self) -> Vault {
        Vault::open(self.folder.path(), &self.unlock).unwrap()
    }
}

fn entry(to: Address, id: u8) -> OutboxEntry {
    OutboxEntry {
        to,
        id: MessageId([id; 16]),
        kind: Kind::DATA,
        link: 0,
        state: OutboxState::Queued,
        due: 5,
        attempts: 0,
    }
}

fn receive(vault: &mut Vault, from: Address, id: u8, body: &[u8]) {
    let (id, kind) = (MessageId([id; 16]), Kind::DATA);
    let incoming = Incoming {
        from,
        id,
        kind,
        body,
        replayable: false,
        stored_at: 9,
    };
    vault.receive(&incoming).unwrap();
}

#[test]
fn what_was_committed_is_there_and_what_was_not_is_gone() {
    let (place, mut vault) = vault();
    vault.create(Peer::new(BOB, Standing::Contact, 0)).unwrap();
    assert!(vault.push(&entry(BOB, 1), b"one").unwrap());
    receive(&mut vault, CAROL, 9, b"from carol");
    assert!(
        vault.take_happenings().is_empty(),
        "nothing is told before the commit"
    );
    vault.commit().unwrap();
    assert_eq!(vault.take_happenings(), [Happening::Message(2)]);
    assert!(vault.push(&entry(BOB, 2), b"lost").unwrap());
    receive(&mut vault, CAROL, 8, b"lost");
    drop(vault);

    let mut vault = place.open();
    let found = vault.next_due(0, 1).unwrap().unwrap();
    assert_eq!(
        (found.id, found.due),
        (MessageId([1; 16]), 0),
        "queued is due after a restart"
    );
    let mut buffer = [0; 16];
    let len = vault.body(&BOB, found.id, &mut buffer).unwrap();
    assert_eq!(&buffer[..len], b"one");
    assert!(vault.find(&BOB, MessageId([2; 16])).unwrap().is_none());
    assert!(vault.seen(&CAROL, MessageId([9; 16])).unwrap());
    assert!(!vault.seen(&CAROL, MessageId([8; 16])).unwrap());
    let standing = vault.conversation(&BOB).unwrap().unwrap().peer.standing;
    assert_eq!(standing, Standing::Contact);
    assert!(vault.conversation(&CAROL).unwrap().is_none());
}

#[test]
fn after_an_error_only_what_was_committed_counts() {
    let (_place, mut vault) = vault();
    vault.push(&entry(BOB, 1), b"kept").unwrap();
    vault.commit().unwrap();
    vault.remove(&BOB, MessageId([1; 16])).unwrap();
    vault.push(&entry(BOB, 2), b"staged").unwrap();
    vault.roll_back().unwrap();
    assert!(vault.find(&BOB, MessageId([1; 16])).unwrap().is_some());
    assert!(vault.find(&BOB, MessageId([2; 16])).unwrap().is_none());
    vault.push(&entry(BOB, 3), b"next").unwrap();
    assert_eq!(
        vault
            .sent(&BOB, MessageId([3; 16]))
            .unwrap()
            .unwrap()
            .number,
        2
    );
}

#[test]
fn a_state_never_goes_back() {
    let (_place, mut vault) = vault();
    vault.push(&entry(BOB, 1), b"x").unwrap();
    let (to, id) = (BOB, MessageId([1; 16]));
    let mut after = |event| {
        vault.event(event).unwrap();
        vault.sent(&BOB, id).unwrap().unwrap().state
    };
    assert_eq!(after(Event::Accepted { to, id }), State::Accepted);
    assert_eq!(after(Event::Delivered { to, id }), State::Delivered);
    assert_eq!(after(Event::Accepted { to, id }), State::Delivered);
    assert_eq!(
        after(Event::Failed {
            to,
            id,
            reason: None
        }),
        State::Delivered
    );
}

#[test]
fn history_is_found_by_contact_and_date() {
    let (_place, mut vault) = vault();
    for n in 0..20 {
        let from = if n % 2 == 0 { BOB } else { CAROL };
        receive(&mut vault, from, n, &[n]);
    }
    let bodies = |vault: &mut Vault, filter: Filter| -> Vec<u8> {
        vault
            .history(&filter)
            .unwrap()
            .iter()
            .map(|message| message.body[0])
            .collect()
    };
    let with = vec![BOB];
    assert_eq!(
        bodies(
            &mut vault,
            Filter {
                with,
                limit: 3,
                ..Filter::default()
            }
        ),
        [14, 16, 18]
    );
    assert_eq!(
        bodies(
            &mut vault,
            Filter {
                limit: 2,
                ..Filter::default()
            }
        ),
        [18, 19]
    );
    assert_eq!(
        bodies(
            &mut vault,
            Filter {
                limit: 99,
                after: 18,
                ..Filter::default()
            }
        ),
        [18, 19]
    );
    let since = u64::MAX;
    assert!(
        bodies(
            &mut vault,
            Filter {
                limit: 99,
                since,
                ..Filter::default()
            }
        )
        .is_empty()
    );
    let middle = vault.message(10).unwrap().unwrap().recorded_at;
    let found = vault
        .history(&Filter {
            limit: 99,
            since: middle,
            ..Filter::default()
        })
        .unwrap();
    assert!(found.len() >= 11 && found.iter().all(|message| message.recorded_at >= middle));
    assert_eq!(vault.after(17, 2).unwrap().len(), 2);
}

#[test]
fn more_conversations_than_memory_keeps() {
    let (place, mut vault) = vault();
    let who = |n: u16| {
        let mut address = [1; 20];
        address[..2].copy_from_slice(&n.to_be_bytes());
        Address(address)
    };
    for n in 0..300 {
        vault
            .create(Peer::new(who(n), Standing::Contact, 0))
            .unwrap();
        vault
            .conversation(&who(n))
            .unwrap()
            .unwrap()
            .peer
            .bundle_counter = u64::from(n);
        vault.save(&who(n)).unwrap();
    }
    vault.rest().unwrap();
    drop(vault);
    let mut vault = place.open();
    for n in (0..300).rev() {
        let counter = vault
            .conversation(&who(n))
            .unwrap()
            .unwrap()
            .peer
            .bundle_counter;
        assert_eq!(counter, u64::from(n));
    }
}

#[test]
fn the_file_shows_neither_names_nor_words_nor_addresses() {
    let (place, mut vault) = vault();
    receive(&mut vault, BOB, 0x5a, b"a secret in plain words");
    let name = "Barbara Ohne-Namen".to_owned();
    let contact = Contact {
        name: name.clone(),
        address: BOB,
        link: 0,
        verified: false,
        blocked: false,
        pinned: None,
        former: Vec::new(),
        added_at: 0,
    };
    vault.save_contact(contact).unwrap();
    vault.rest().unwrap();
    drop(vault);
    let file = std::fs::read(place.folder.path().join("vault.redb")).unwrap();
    let needles: [&[u8]; 4] = [
        b"a secret in plain words",
        name.as_bytes(),
        &BOB.0,
        &[0x5a; 16],
    ];
    for needle in needles {
        assert!(!file.windows(needle.len()).any(|window| window == needle));
    }
}

#[test]
fn a_new_secret_shuts_the_old_one_out() {
    let (place, mut vault) = vault();
    let new = Unlock::KeyFile(place.folder.path().join("new"));
    make_key_file(&place.folder.path().join("new")).unwrap();
    assert!(
        vault.change_unlock(&new, &new).is_err(),
        "the old one is asked for"
    );
    vault.change_unlock(&place.unlock, &new).unwrap();
    drop(vault);
    let refused = Vault::open(place.folder.path(), &place.unlock);
    assert!(matches!(refused, Err(VaultError::WrongKeyFile(_))));
    assert!(Vault::open(place.folder.path(), &new).is_ok());
}

#[test]
fn the_clock_never_goes_back() {
    let (place, mut vault) = vault();
    vault.clock = u64::MAX - 10;
    receive(&mut vault, BOB, 1, b"x");
    vault.commit().unwrap();
    drop(vault);
    assert!(place.open().now() >= u64::MAX - 10);
}
