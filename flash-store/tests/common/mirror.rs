//! Is what flash holds what RAM holds? The image is opened again, and both are compared.

use hushwire_core::{
    identity::Address,
    session::{Kind, Position, Session},
    storage::{OutboxState, Storage as _},
};
use hushwire_flash::{Boot, NoAnchor, Wipe};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    flash::{Chip, MockFlash},
    node::{Flash, Inner, SKIP, give_back, ram, storage_key},
};

type Peer = hushwire_core::peer::Peer<SKIP>;
type Conversation<'a> = hushwire_core::peer::Conversation<'a, SKIP>;

/// The ratchet key and the next number of a session's sending chain. The numbers show, keys do not.
pub fn position(session: &Session<SKIP>) -> Option<(String, u32)> {
    let text = format!("{session:?}");
    let sending = text.split("sending: Some(").nth(1)?;
    let key = sending.split("public: ").nth(1)?.split(", n: ").next()?;
    let n = sending.split(", n: ").nth(1)?.split(',').next()?;
    Some((key.to_owned(), n.parse().unwrap()))
}

/// Everything that a start would find of a contact.
fn state(store: &mut Inner, who: &Address) -> Vec<u8> {
    let mut bytes = vec![0; 2 * Conversation::MAX_BASE + Peer::MAX_CARD];
    let mut conversation = store.conversation(who).unwrap().unwrap();
    let mut len = conversation.peer.encode_card(&mut bytes).unwrap();
    len += conversation
        .encode_base(Position::Reserved, &mut bytes[len..])
        .unwrap();
    len += conversation
        .encode_aside(Position::Reserved, &mut bytes[len..])
        .unwrap();
    bytes.truncate(len);
    let done = conversation.peer.done;
    bytes.extend(done.iter().flat_map(|id| id.to_be_bytes()));
    bytes
}

/// The user's messages that wait, with their bodies.
fn outbox(store: &mut Inner) -> Vec<(Address, [u8; 16], Vec<u8>)> {
    let entries: Vec<_> = store
        .outbox()
        .filter(|entry| entry.kind == Kind::DATA)
        .collect();
    let mut buffer = vec![0; 1024];
    let bodies = entries.iter().map(|entry| {
        let len = store.body(&entry.to, entry.id, &mut buffer).unwrap();
        (entry.to, entry.id.0, buffer[..len].to_vec())
    });
    bodies.collect()
}

/// What is in RAM is what a start now would find.
pub fn same(live: &mut Inner, seed: u8) {
    let chip = Chip::with(MockFlash::of(live.flash().image()));
    let rng = ChaCha20Rng::seed_from_u64(9);
    let wipe = Wipe::in_place::<Flash>();
    let opened = Inner::open(chip, storage_key(seed), rng, wipe, &mut NoAnchor, ram());
    let (mut again, boot) = opened.unwrap();
    assert_eq!(boot, Boot::Ready);
    let contacts: Vec<Address> = live.contacts().map(|peer| peer.address).collect();
    assert_eq!(contacts.len(), again.contacts().count());
    for who in &contacts {
        assert_eq!(state(live, who), state(&mut again, who));
    }
    assert_eq!(outbox(live), outbox(&mut again));
    let accepted = |store: &Inner| {
        let entries = store.outbox().filter(|entry| entry.kind == Kind::DATA);
        entries
            .filter(|entry| entry.state == OutboxState::Accepted)
            .count()
    };
    // That a relay has custody is told late: never too early.
    assert!(accepted(&again) <= accepted(live));
    give_back(again);
}
