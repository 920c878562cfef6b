//! A base and its changes are the state: after any run, however it was written down.

use hushwire_core::{
    evidence,
    identity::Address,
    journal::Mark,
    peer::{Conversation, Peer, Standing},
    session::Position,
    wire::EnvelopeId,
};
use rand_chacha::rand_core::Rng as _;

use crate::common::{Party, SKIP, Ses, open, pair, rng, seal};

/// One side with what its storage holds: a base and changes.
struct Side {
    party: Party,
    peer: Peer<SKIP>,
    aside: Option<Ses>,
    mark: Mark,
    base: Vec<u8>,
    changes: Vec<Vec<u8>>,
    done: Vec<u8>,
}

fn conversation<'a>(
    peer: &'a mut Peer<SKIP>,
    aside: &'a mut Option<Ses>,
) -> Conversation<'a, SKIP> {
    Conversation {
        peer,
        tentative: Some(aside),
    }
}

/// The one encoding that a state has.
fn encoded(peer: &mut Peer<SKIP>, aside: &mut Option<Ses>) -> Vec<u8> {
    let mut both = vec![0; 2 * Conversation::<SKIP>::MAX_BASE];
    let mut conversation = conversation(peer, aside);
    let base = conversation
        .encode_base(Position::Reserved, &mut both)
        .unwrap();
    let rest = conversation
        .encode_aside(Position::Reserved, &mut both[base..])
        .unwrap();
    both.truncate(base + rest);
    both.extend(peer.done.iter().flat_map(|id| id.to_be_bytes()));
    both
}

impl Side {
    fn new(party: Party, session: Ses) -> Self {
        let mut peer = Peer::new(Address([7; 20]), Standing::Contact, 0);
        peer.session = Some(session);
        let mut side = Self {
            party,
            peer,
            aside: None,
            mark: Mark::default(),
            base: Vec::new(),
            changes: Vec::new(),
            done: Vec::new(),
        };
        side.write_base();
        side
    }

    fn write_base(&mut self) {
        self.base = vec![0; Conversation::<SKIP>::MAX_BASE];
        let mut conversation = conversation(&mut self.peer, &mut self.aside);
        let len = conversation
            .encode_base(Position::Reserved, &mut self.base)
            .unwrap();
        self.mark = conversation.mark();
        self.base.truncate(len);
        self.changes.clear();
    }

    /// Writes what there is to write, and checks that it reads back. Returns whether a change did.
    fn commit(&mut self) -> bool {
        let mut done = [0; 128];
        let mut conversation = conversation(&mut self.peer, &mut self.aside);
        let len = conversation.encode_done(&self.mark, &mut done).unwrap();
        self.done.extend(&done[..len]);
        let mut change = [0; 64];
        let fits = conversation.encode_change(&self.mark, &mut change).unwrap();
        match fits {
            Some(0) => self.mark = conversation.mark(),
            Some(len) => {
                self.mark = conversation.mark();
                self.changes.push(change[..len].to_vec());
            }
            None => self.write_base(),
        }
        if let Some(session) = &mut self.peer.session {
            evidence::after(&mut (), |()| Ok::<(), ()>(()), |(), p| session.stored(p)).unwrap();
        }
        let mut back = self.read();
        assert_eq!(
            encoded(&mut back.0, &mut back.1),
            encoded(&mut self.peer, &mut self.aside)
        );
        fits.is_some_and(|len| len > 0)
    }

    fn read(&self) -> (Peer<SKIP>, Option<Ses>) {
        let mut peer = Peer::new(Address([7; 20]), Standing::Contact, 0);
        let mut aside = None;
        let mut conversation = conversation(&mut peer, &mut aside);
        conversation.decode_base(&self.base).unwrap();
        for change in &self.changes {
            conversation.apply_change(change).unwrap();
        }
        conversation.apply_done(&self.done);
        (peer, aside)
    }

    fn reboot(&mut self) {
        let (peer, aside) = self.read();
        (self.peer, self.aside) = (peer, aside);
        self.mark = conversation(&mut self.peer, &mut self.aside).mark();
    }
}

#[test]
fn what_reads_back_is_what_was() {
    let (mut changes, mut bases, mut boots, mut opened) = (0, 0, 0, 0);
    for seed in 0..40 {
        let (alice, bob, a, b) = pair(seed as u8);
        let mut sides = [Side::new(alice, a), Side::new(bob, b)];
        let mut random = rng(seed);
        let mut mail: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
        // Some runs talk in turns, some in one direction.
        let bias = 30 + 10 * (seed as u32 % 5);
        for now in 1..150_u64 {
            let at = usize::from(random.next_u32() % 100 < bias);
            let side = &mut sides[at];
            match random.next_u32() % 100 {
                0..55 => {
                    let session = side.peer.session.as_mut().unwrap();
                    let sealed = seal(session, &mut side.party.rng, b"hello");
                    mail[1 - at].push(sealed);
                }
                55..95 if !mail[at].is_empty() => {
                    let place = random.next_u32() as usize % mail[at].len().min(6);
                    let envelope = mail[at].remove(place);
                    let session = side.peer.session.as_mut().unwrap();
                    if open(session, &envelope).is_some() {
                        opened += 1;
                        side.peer.heard_at += now;
                        side.peer.done.rotate_right(1);
                        side.peer.done[0] = u64::from_be_bytes(
                            EnvelopeId::of(&envelope).0[..8].try_into().unwrap(),
                        );
                    }
                    side.peer.unopened = (now % 3) as u8;
                }
                95..98 => {
                    side.reboot();
                    boots += 1;
                }
                _ => {
                    mail[at].clear();
                }
            }
            if sides[at].commit() {
                changes += 1;
            } else {
                bases += 1;
            }
        }
    }
    println!("{opened} opened, {changes} changes, {bases} bases or nothing, {boots} boots");
    assert!(changes > 1000 && bases > 500 && boots > 50 && opened > 1000);
}

#[test]
fn nothing_but_a_change_is_taken_for_one() {
    let (alice, mut bob, a, mut b) = pair(3);
    let mut side = Side::new(alice, a);
    for n in 0..5 {
        let envelope = seal(&mut b, &mut bob.rng, &[n]);
        if n != 2 {
            assert!(open(side.peer.session.as_mut().unwrap(), &envelope).is_some());
        }
        side.peer.heard_at += 1000;
        side.commit();
    }
    let change = side.changes.last().unwrap().clone();
    for len in 0..change.len() {
        let (mut peer, mut aside) = side.read();
        assert!(
            conversation(&mut peer, &mut aside)
                .apply_change(&change[..len])
                .is_err()
        );
    }
    let mut random = rng(9);
    for _ in 0..20_000 {
        let mut bytes = change.clone();
        let at = random.next_u32() as usize % bytes.len();
        bytes[at] = random.next_u32() as u8;
        let (mut peer, mut aside) = side.read();
        // Whatever it says, it ends and does not panic.
        let _ = conversation(&mut peer, &mut aside).apply_change(&bytes);
    }
}
