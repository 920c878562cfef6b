//! A26: somebody between a client and its relay. The client pins the relay's key, so whoever stands
//! between can cut the connection and nothing else.

use hushwire_core::{
    crypto::Software,
    identity::IdentityKeys as _,
    link::{
        HEAD_ROOM, HandshakeError, MESSAGE_1_LEN, MESSAGE_2_LEN, MESSAGE_3_LEN, OpenError,
        PREAMBLE, PREAMBLE_LEN, PreambleError, Responder,
    },
};

use crate::link::{World, pair, seal};

const FIRST: usize = PREAMBLE_LEN + HEAD_ROOM;
/// A point's bytes at the front of messages 1 and 2, in the clear.
const POINT: usize = 65;

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// The client's relay, and an impostor who knows everything public about it.
fn relay_and_impostor() -> (World, World) {
    let honest = World::new(1);
    let mut impostor = honest.clone();
    impostor.relay = World::new(2).relay;
    (honest, impostor)
}

#[test]
fn another_key_cannot_read_the_first_message() {
    let (honest, impostor) = relay_and_impostor();
    let (_, first) = honest.hello(&honest.relay);
    let refused = impostor.answer(&first[FIRST..]).map(|_| ());
    assert_eq!(refused, Err(HandshakeError::Refused));
}

#[test]
fn another_key_cannot_answer_anyway() {
    let (honest, impostor) = relay_and_impostor();
    // The best answer without the pinned key: same client ephemeral, own static key in its place.
    let (_, to_impostor) = impostor.hello(&impostor.relay);
    let (_, answer) = impostor.answer(&to_impostor[FIRST..]).unwrap();
    let (client, first) = honest.hello(&honest.relay);
    assert_eq!(first[FIRST..][..POINT], to_impostor[FIRST..][..POINT]);
    let refused = honest.login(client, &answer[HEAD_ROOM..]).map(|_| ());
    assert_eq!(refused, Err(HandshakeError::Refused));

    // The relay's own answer to another handshake of the same client.
    let mut before = honest.clone();
    before.client_ephemeral = World::new(3).client_ephemeral;
    let (_, old) = before.hello(&before.relay);
    let (_, answer) = honest.answer(&old[FIRST..]).unwrap();
    let (client, _) = honest.hello(&honest.relay);
    let refused = honest.login(client, &answer[HEAD_ROOM..]).map(|_| ());
    assert_eq!(refused, Err(HandshakeError::Refused));
}

/// A proxy is a relay to the client and a client to the relay. The first half fails; in the second it
/// is nobody but itself, and what it recorded of the client's log-in is worth nothing.
#[test]
fn a_proxy_that_terminates_both_sides() {
    let (honest, proxy) = relay_and_impostor();
    let mut outside = World::new(4);
    outside.relay = honest.relay;

    let (_, first) = honest.hello(&honest.relay);
    assert!(proxy.answer(&first[FIRST..]).is_err());

    let (_, _, who, _) = outside.connect();
    assert_eq!(who, *outside.client().public());
    assert_ne!(who.address(), honest.client().public().address());

    let (_, _, _, (first, _, third)) = honest.connect();
    let mut later = honest.clone();
    later.relay_ephemeral = World::new(5).relay_ephemeral;
    let (relay, _) = later.answer(&first[FIRST..]).unwrap();
    let replayed = relay.read_message_3(&mut Software, &third[HEAD_ROOM..]);
    assert_eq!(replayed.map(|_| ()), Err(HandshakeError::Refused));
}

/// The client's log-in under its own ephemeral key cannot be carried into the proxy's handshake.
#[test]
fn a_log_in_fits_one_handshake() {
    let honest = World::new(6);
    let mut proxy = World::new(7);
    proxy.relay = honest.relay;
    proxy.relay_ephemeral = honest.relay_ephemeral;
    let (_, _, _, (_, _, third)) = honest.connect();
    let (_, first) = proxy.hello(&proxy.relay);
    let (relay, _) = proxy.answer(&first[FIRST..]).unwrap();
    let moved = relay.read_message_3(&mut Software, &third[HEAD_ROOM..]);
    assert_eq!(moved.map(|_| ()), Err(HandshakeError::Refused));
}

#[test]
fn every_flipped_bit_of_the_preamble_is_refused() {
    for bit in 0..PREAMBLE_LEN * 8 {
        let mut bytes = PREAMBLE;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 | 1 => PreambleError::NotHushwire,
            2 => PreambleError::Version,
            3 => PreambleError::Suite,
            _ => PreambleError::Pattern,
        };
        assert_eq!(Responder::greet(&bytes).map(|_| ()), Err(expected));
    }
}

#[test]
fn every_flipped_bit_of_the_handshake_is_refused() {
    let world = World::new(8);
    let (_, _, _, (first, second, third)) = world.connect();
    // Inside a point the flip leaves the curve; elsewhere it is one opaque refusal.
    let expected = |bit: usize| match bit / 8 {
        0..POINT => HandshakeError::InvalidKey,
        _ => HandshakeError::Refused,
    };
    for bit in 0..MESSAGE_1_LEN * 8 {
        let refused = world.answer(&flipped(&first[FIRST..], bit)).map(|_| ());
        assert_eq!(refused, Err(expected(bit)), "message 1, bit {bit}");
    }
    for bit in 0..MESSAGE_2_LEN * 8 {
        let (client, _) = world.hello(&world.relay);
        let refused = world.login(client, &flipped(&second[HEAD_ROOM..], bit));
        assert_eq!(
            refused.map(|_| ()),
            Err(expected(bit)),
            "message 2, bit {bit}"
        );
    }
    for bit in 0..MESSAGE_3_LEN * 8 {
        let (relay, _) = world.answer(&first[FIRST..]).unwrap();
        let refused = relay.read_message_3(&mut Software, &flipped(&third[HEAD_ROOM..], bit));
        let refused = refused.map(|_| ());
        assert_eq!(
            refused,
            Err(HandshakeError::Refused),
            "message 3, bit {bit}"
        );
    }
    println!(
        "{} flipped bits refused",
        (MESSAGE_1_LEN + MESSAGE_2_LEN + MESSAGE_3_LEN) * 8
    );
}

/// After the handshake: altered, reordered, repeated, dropped and reflected records end the link.
#[test]
fn records_cannot_be_touched() {
    let world = World::new(9);
    let plaintext = b"\x00\x03\x0c\x00\x07";
    let (client, _, _, _) = world.connect();
    let (mut to_relay, _) = client.split();
    let (first, second) = (
        seal(&mut to_relay, plaintext),
        seal(&mut to_relay, plaintext),
    );
    assert_ne!(first, second, "the same plaintext never looks the same");

    let opener = || world.connect().1.split().1;
    let mut honest = opener();
    for record in [&first, &second] {
        assert_eq!(
            honest.open(&mut record.clone()[HEAD_ROOM..]).unwrap(),
            plaintext
        );
    }
    let repeated = honest.open(&mut second.clone()[HEAD_ROOM..]).map(|_| ());
    assert_eq!(repeated, Err(OpenError::Refused));

    for bit in HEAD_ROOM * 8..first.len() * 8 {
        let mut relay = opener();
        let mut altered = flipped(&first, bit);
        let refused = relay.open(&mut altered[HEAD_ROOM..]).map(|_| ());
        assert_eq!(refused, Err(OpenError::Refused), "bit {bit}");
        assert_eq!(
            altered,
            flipped(&first, bit),
            "a refused record is not decrypted"
        );
        let after = relay.open(&mut first.clone()[HEAD_ROOM..]).map(|_| ());
        assert_eq!(after, Err(OpenError::Dead));
    }

    let dropped = opener().open(&mut second.clone()[HEAD_ROOM..]).map(|_| ());
    assert_eq!(dropped, Err(OpenError::Refused));
    let (client, _, _, _) = world.connect();
    let (_, mut from_relay) = client.split();
    let reflected = from_relay.open(&mut first.clone()[HEAD_ROOM..]).map(|_| ());
    assert_eq!(reflected, Err(OpenError::Refused));
}

/// The relay's secret is not in anything that can be shown.
#[test]
fn debug_shows_no_secret() {
    let world = World::new(10);
    let (client, first) = world.hello(&world.relay);
    let (relay, second) = world.answer(&first[FIRST..]).unwrap();
    let shown = format!("{client:?}{relay:?}{:?}", pair(&world.relay));
    let (ends, _) = world.login(client, &second[HEAD_ROOM..]).unwrap();
    let shown = format!("{shown}{ends:?}{:?}", ends.own_limits());
    for name in ["ChainingKey(..)", "CipherKey(..)", "SecretKey(..)"] {
        assert!(shown.contains(name), "{name} in {shown}");
    }
    assert!(
        !shown.contains("Key([") && !shown.contains("Key { "),
        "{shown}"
    );
}
