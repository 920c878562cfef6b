//! What a session promises, between two of them.

use hushwire_core::{
    crypto::Software,
    session::{OpenError, Position},
};

use crate::common::*;

#[test]
fn both_sides_talk_with_and_without_a_one_time_prekey() {
    for with in [true, false] {
        let (mut alice, mut bob) = (Party::new(1), Party::new(2));
        let mut a = alice.start(&mut bob, with);
        let first = seal(&mut a, &mut alice.rng, b"one");
        let second = seal(&mut a, &mut alice.rng, b"two");
        // The second of a flight can start the session as well as the first.
        let (mut b, sender, body) = bob.respond(&second).unwrap();
        assert_eq!((sender, &body[..]), (alice.public, &b"two"[..]));
        assert_eq!(open(&mut b, &first).unwrap(), b"one");
        assert!(!b.is_confirmed() && b.may_be_replayed() != with);
        for round in 0..20_u8 {
            let answer = seal(&mut b, &mut bob.rng, &[round]);
            assert_eq!(open(&mut a, &answer).unwrap(), [round]);
            let answer = seal(&mut a, &mut alice.rng, &[round, round]);
            assert_eq!(open(&mut b, &answer).unwrap(), [round, round]);
        }
        assert!(a.is_confirmed() && b.is_confirmed());
    }
}

#[test]
fn order_does_not_matter_within_the_kept_keys() {
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    let early: Vec<_> = (0..10_u8)
        .map(|n| seal(&mut a, &mut alice.rng, &[n]))
        .collect();
    let answer = {
        assert_eq!(open(&mut b, &early[9]).unwrap(), [9]);
        seal(&mut b, &mut bob.rng, b"ok")
    };
    open(&mut a, &answer).unwrap();
    let later: Vec<_> = (0..10_u8)
        .map(|n| seal(&mut a, &mut alice.rng, &[100 + n]))
        .collect();
    assert_eq!(open(&mut b, &later[5]).unwrap(), [105]);
    for n in (0..9).rev() {
        assert_eq!(open(&mut b, &early[n]).unwrap(), [n as u8]);
        assert_eq!(open(&mut b, &early[n]), None, "never twice");
    }
    for n in [0, 1, 2, 3, 4, 6, 7, 8, 9] {
        assert_eq!(open(&mut b, &later[n]).unwrap(), [100 + n as u8]);
    }
}

#[test]
fn a_gap_beyond_the_jump_is_answered_and_heals() {
    let (mut alice, mut bob, mut a, mut b) = pair(1);
    for n in 0..1100_u32 {
        let _lost = seal(&mut a, &mut alice.rng, &n.to_be_bytes());
    }
    let mut far = seal(&mut a, &mut alice.rng, b"far");
    assert_eq!(
        b.open(&mut Software, &mut far).unwrap_err(),
        OpenError::TooFar
    );
    // The authentic header was taken: the answer steps, and so does the next message.
    let resend = seal(&mut b, &mut bob.rng, b"");
    assert!(open(&mut a, &resend).is_some());
    let near = seal(&mut a, &mut alice.rng, b"near");
    assert_eq!(open(&mut b, &near).unwrap(), b"near");
    // The same within one chain.
    let first = seal(&mut a, &mut alice.rng, b"first");
    assert_eq!(open(&mut b, &first).unwrap(), b"first");
    for n in 0..1100_u32 {
        let _lost = seal(&mut a, &mut alice.rng, &n.to_be_bytes());
    }
    let mut far = seal(&mut a, &mut alice.rng, b"far");
    let before = encode(&mut b);
    assert_eq!(
        b.open(&mut Software, &mut far).unwrap_err(),
        OpenError::TooFar
    );
    assert_eq!(encode(&mut b), before);
    let resend = seal(&mut b, &mut bob.rng, b"");
    assert!(open(&mut a, &resend).is_some());
    let near = seal(&mut a, &mut alice.rng, b"near");
    assert_eq!(open(&mut b, &near).unwrap(), b"near");
}

#[test]
fn no_message_key_repeats_over_restarts() {
    let (mut alice, _, mut a, mut b) = pair(1);
    let mut numbers = std::collections::BTreeSet::new();
    let mut record = store(&mut a);
    for round in 0..40 {
        for n in 0..round % 11 {
            let body = [round, n];
            let envelope = seal(&mut a, &mut alice.rng, &body);
            assert!(numbers.insert(envelope[35..].to_vec()));
            assert_eq!(open(&mut b, &envelope).unwrap(), body);
            record = encode(&mut a);
        }
        a = reload(&record);
    }
}

#[test]
fn an_orderly_stop_loses_no_number() {
    let (mut alice, _, mut a, mut b) = pair(1);
    let one = seal(&mut a, &mut alice.rng, b"one");
    open(&mut b, &one).unwrap();
    let mut record = vec![0; Ses::MAX_ENCODED];
    let len = a.encode(Position::Exact, &mut record).unwrap();
    let mut a = reload(&record[..len]);
    let before = encode(&mut b);
    let two = seal(&mut a, &mut alice.rng, b"two");
    open(&mut b, &two).unwrap();
    assert_eq!(before.len(), encode(&mut b).len());
    assert!(
        !format!("{b:?}").contains("chains: [3"),
        "no key was skipped"
    );
}

#[test]
fn every_flipped_bit_fails_and_changes_nothing() {
    let (mut alice, mut bob) = (Party::new(1), Party::new(2));
    let mut a = alice.start(&mut bob, true);
    let first = seal(&mut a, &mut alice.rng, b"start");
    for bit in 0..first.len() * 8 {
        let mut bad = first.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(bob.respond(&bad).is_none(), "bit {bit} of a start");
    }
    let (mut b, ..) = bob.respond(&first).unwrap();
    let message = seal(&mut a, &mut alice.rng, b"message");
    let before = encode(&mut b);
    for bit in 0..message.len() * 8 {
        let mut bad = message.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let sent = bad.clone();
        assert_eq!(
            b.open(&mut Software, &mut bad).unwrap_err(),
            OpenError::Unopenable
        );
        assert_eq!(
            bad, sent,
            "bit {bit}: the envelope must stay for other sessions"
        );
        assert_eq!(encode(&mut b), before, "bit {bit}");
    }
    assert_eq!(open(&mut b, &message).unwrap(), b"message");
}

#[test]
fn nothing_reflected_opens() {
    let (mut alice, _, mut a, _) = pair(1);
    let own = seal(&mut a, &mut alice.rng, b"mine");
    assert_eq!(open(&mut a, &own), None);
}

#[test]
fn ram_of_a_session() {
    println!("session with 32 kept keys: {} bytes of RAM", Ses::RAM);
    const { assert!(Ses::RAM <= 1638) };
}
