//! The link against `snow` 0.10, an independent Noise library: the same keys give the same bytes,
//! both ways, in the handshake and after it. What `snow` can be made to say wrongly is refused.

#[path = "common/link.rs"]
mod world;

use hushwire_core::{
    crypto::{P256 as _, Software},
    identity::IdentityKeys as _,
    link::{
        HEAD_ROOM, HandshakeError, LimitsError, LinkLimits, MESSAGE_1_LEN, MESSAGE_2_LEN,
        MESSAGE_3_LEN, PREAMBLE_LEN, Sealer,
    },
};
use snow::{Builder, HandshakeState, TransportState};
use world::{World, pair, point, seal};

const NAME: &str = "Noise_XK_P256_AESGCM_SHA256";
/// Spelt out, not taken from the crate: label, version, suite, pattern.
const PROLOGUE: &[u8] = b"hushwire link\x01\x01\x01";

/// The scalar behind the client's static key, through the identity's own derivation.
fn agreement_scalar(world: &World) -> [u8; 32] {
    let mut scalar = [0; 32];
    hushwire_core::crypto::kdf::hkdf(
        &[],
        &world.client_seed,
        &[hushwire_core::crypto::kdf::label::RESTORE, &[0x02, 0]],
        &mut scalar,
    );
    assert_eq!(
        pair(&scalar).public(),
        world.client().public().agreement(),
        "the identity derives its keys in another way now"
    );
    scalar
}

fn snow_client(world: &World, ephemeral: &[u8; 32], own: &[u8; 32]) -> HandshakeState {
    Builder::new(NAME.parse().unwrap())
        .prologue(PROLOGUE)
        .and_then(|b| b.local_private_key(own))
        .and_then(|b| {
            b.remote_public_key(&point(&world.relay)).and_then(|b| {
                b.fixed_ephemeral_key_for_testing_only(ephemeral)
                    .build_initiator()
            })
        })
        .unwrap()
}

fn snow_relay(world: &World, ephemeral: &[u8; 32]) -> HandshakeState {
    Builder::new(NAME.parse().unwrap())
        .prologue(PROLOGUE)
        .and_then(|b| b.local_private_key(&world.relay))
        .unwrap()
        .fixed_ephemeral_key_for_testing_only(ephemeral)
        .build_responder()
        .unwrap()
}

fn write(state: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    let len = state.write_message(payload, &mut out).unwrap();
    out.truncate(len);
    out
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    let len = state.read_message(message, &mut out).unwrap();
    out.truncate(len);
    out
}

fn limits_bytes(limits: &LinkLimits) -> Vec<u8> {
    [limits.max_record(), limits.max_frame(), limits.window()]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect()
}

/// Message 3's payload: `IKs ‖ limits`.
fn login(world: &World, limits: &[u8]) -> Vec<u8> {
    [world.client().public().signing().bytes(), limits].concat()
}

/// Records of every small length and some large ones, both ways: equal bytes, and each side opens
/// the other's. More than 256 of them, so that the counter's second byte moves.
fn records_agree(ours: hushwire_core::link::Transport, mut theirs: TransportState) -> usize {
    let max = usize::from(ours.peer_limits().max_record()).min(1400) - 16;
    let own_max = usize::from(ours.own_limits().max_record()).min(1400) - 16;
    let (mut sealer, mut opener) = ours.split();
    let mut count = 0;
    for len in (3..300).chain([max.min(own_max)]) {
        let plaintext: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        let sealed = seal(&mut sealer, &plaintext);
        assert_eq!(sealed[..HEAD_ROOM], ((len + 16) as u16).to_be_bytes());
        let mut opened = vec![0; len];
        theirs
            .read_message(&sealed[HEAD_ROOM..], &mut opened)
            .unwrap();
        assert_eq!(opened, plaintext);

        let mut message = vec![0; len + 16];
        theirs.write_message(&plaintext, &mut message).unwrap();
        assert_eq!(opener.open(&mut message).unwrap(), plaintext);
        count += 2;
    }
    count
}

#[test]
fn our_client_and_a_snow_relay() {
    for seed in 0..4 {
        let world = World::new(seed);
        let mut relay = snow_relay(&world, &world.relay_ephemeral);
        let mut twin = snow_client(&world, &world.client_ephemeral, &agreement_scalar(&world));

        let (client, first) = world.hello(&world.relay);
        assert_eq!(first[..PREAMBLE_LEN], *b"HW\x01\x01\x01");
        assert_eq!(first[PREAMBLE_LEN..][..HEAD_ROOM], [0, MESSAGE_1_LEN as u8]);
        let message = &first[PREAMBLE_LEN + HEAD_ROOM..];
        assert_eq!(message, write(&mut twin, &[]), "message 1");
        assert_eq!(read(&mut relay, message), b"");

        let message = write(&mut relay, &limits_bytes(&world.relay_limits));
        assert_eq!(message.len(), MESSAGE_2_LEN);
        read(&mut twin, &message);
        let (client, third) = world.login(client, &message).unwrap();

        assert_eq!(third[..HEAD_ROOM], [0, MESSAGE_3_LEN as u8]);
        let payload = login(&world, &limits_bytes(&world.client_limits));
        assert_eq!(third[HEAD_ROOM..], write(&mut twin, &payload), "message 3");
        assert_eq!(read(&mut relay, &third[HEAD_ROOM..]), payload);
        let agreement = *world.client().public().agreement();
        assert_eq!(
            relay.get_remote_static(),
            Some(&Software.expand(&agreement).unwrap()[..])
        );
        assert_eq!(client.peer_limits(), &world.relay_limits);
        assert_eq!(
            records_agree(client, relay.into_transport_mode().unwrap()),
            596
        );
    }
}

#[test]
fn a_snow_client_and_our_relay() {
    for seed in 10..14 {
        let world = World::new(seed);
        let mut client = snow_client(&world, &world.client_ephemeral, &agreement_scalar(&world));
        let mut twin = snow_relay(&world, &world.relay_ephemeral);

        let message = write(&mut client, &[]);
        read(&mut twin, &message);
        let (relay, second) = world.answer(&message).unwrap();
        assert_eq!(second[..HEAD_ROOM], [0, MESSAGE_2_LEN as u8]);
        let payload = limits_bytes(&world.relay_limits);
        assert_eq!(second[HEAD_ROOM..], write(&mut twin, &payload), "message 2");
        assert_eq!(read(&mut client, &second[HEAD_ROOM..]), payload);

        let message = write(
            &mut client,
            &login(&world, &limits_bytes(&world.client_limits)),
        );
        let (relay, who) = relay.read_message_3(&mut Software, &message).unwrap();
        assert_eq!(who.address(), world.client().public().address());
        assert_eq!(relay.peer_limits(), &world.client_limits);
        assert_eq!(
            records_agree(relay, client.into_transport_mode().unwrap()),
            596
        );
    }
}

/// The bytes that we seal are `snow`'s bytes, not only bytes that `snow` opens.
#[test]
fn sealed_records_are_byte_exact() {
    let world = World::new(20);
    let mut twin = snow_client(&world, &world.client_ephemeral, &agreement_scalar(&world));
    write(&mut twin, &[]);
    let (client, _, _, (_, second, _)) = world.connect();
    read(&mut twin, &second[HEAD_ROOM..]);
    write(
        &mut twin,
        &login(&world, &limits_bytes(&world.client_limits)),
    );
    let mut twin = twin.into_transport_mode().unwrap();
    let (mut sealer, _): (Sealer, _) = client.split();
    for len in 3..600_usize {
        let plaintext = vec![len as u8; len];
        let mut expected = vec![0; len + 16];
        twin.write_message(&plaintext, &mut expected).unwrap();
        assert_eq!(seal(&mut sealer, &plaintext)[HEAD_ROOM..], expected);
    }
}

/// Perfect Noise with another prologue (version, suite or pattern flipped on the way) does not meet.
#[test]
fn another_prologue_is_refused() {
    let world = World::new(21);
    for prologue in [
        &b"hushwire link\x02\x01\x01"[..],
        b"hushwire link\x01\x02\x01",
        b"hushwire link\x01\x01\x02",
        b"",
    ] {
        let mut client = Builder::new(NAME.parse().unwrap())
            .prologue(prologue)
            .and_then(|b| b.local_private_key(&world.client_seed))
            .and_then(|b| {
                b.remote_public_key(&point(&world.relay))
                    .and_then(Builder::build_initiator)
            })
            .unwrap();
        let refused = world.answer(&write(&mut client, &[])).map(|_| ());
        assert_eq!(refused, Err(HandshakeError::Refused));
    }
}

/// Limits under which nothing could be delivered are refused by both sides, with a reason.
#[test]
fn senseless_limits_are_refused() {
    let world = World::new(22);
    let raw = |record: u16, frame: u16, window: u16| {
        [record, frame, window].map(u16::to_be_bytes).concat()
    };
    for (bytes, reason) in [
        (raw(1400, 1383, 1), LimitsError::FrameExceedsRecord),
        (raw(0, 0, 1), LimitsError::FrameTooSmall),
        (raw(u16::MAX, 1312, 1), LimitsError::FrameTooSmall),
        (raw(0, u16::MAX, 1), LimitsError::FrameExceedsRecord),
        (raw(1400, 1382, 0), LimitsError::NoWindow),
    ] {
        let mut relay = snow_relay(&world, &world.relay_ephemeral);
        let (client, first) = world.hello(&world.relay);
        read(&mut relay, &first[PREAMBLE_LEN + HEAD_ROOM..]);
        let refused = world.login(client, &write(&mut relay, &bytes)).map(|_| ());
        assert_eq!(refused, Err(HandshakeError::Limits(reason)));

        let mut client = snow_client(&world, &world.client_ephemeral, &agreement_scalar(&world));
        let (relay, second) = world.answer(&write(&mut client, &[])).unwrap();
        read(&mut client, &second[HEAD_ROOM..]);
        let message = write(&mut client, &login(&world, &bytes));
        let refused = relay.read_message_3(&mut Software, &message).map(|_| ());
        assert_eq!(refused, Err(HandshakeError::Limits(reason)));
    }
    assert!(LinkLimits::new(1331, 1313, 1).is_ok());
}

/// A peer that shows us a key of our own is refused, although it speaks perfect Noise.
#[test]
fn own_keys_are_refused() {
    let world = World::new(23);
    let own = Err(HandshakeError::OwnKey);

    // A client whose ephemeral key is the relay's static key.
    let mut client = snow_client(&world, &world.relay, &agreement_scalar(&world));
    assert_eq!(world.answer(&write(&mut client, &[])).map(|_| ()), own);

    // Clients whose static key is the relay's static key, or its ephemeral one.
    for stolen in [&world.relay, &world.relay_ephemeral] {
        let mut client = snow_client(&world, &world.client_ephemeral, stolen);
        let (relay, second) = world.answer(&write(&mut client, &[])).unwrap();
        read(&mut client, &second[HEAD_ROOM..]);
        let message = write(
            &mut client,
            &login(&world, &limits_bytes(&world.client_limits)),
        );
        assert_eq!(
            relay.read_message_3(&mut Software, &message).map(|_| ()),
            own
        );
    }

    // Relays whose ephemeral key is the client's ephemeral key, or its identity's.
    for stolen in [world.client_ephemeral, agreement_scalar(&world)] {
        let mut relay = snow_relay(&world, &stolen);
        let (client, first) = world.hello(&world.relay);
        read(&mut relay, &first[PREAMBLE_LEN + HEAD_ROOM..]);
        let message = write(&mut relay, &limits_bytes(&world.relay_limits));
        assert_eq!(world.login(client, &message).map(|_| ()), own);
    }

    // A pinned key that is the client's own.
    let mut mirror = world.clone();
    mirror.relay = agreement_scalar(&world);
    let (client, first) = mirror.hello(&mirror.relay);
    let (_, second) = mirror.answer(&first[PREAMBLE_LEN + HEAD_ROOM..]).unwrap();
    assert_eq!(mirror.login(client, &second[HEAD_ROOM..]).map(|_| ()), own);
}

/// An identity whose two keys are one is none.
#[test]
fn one_key_for_both_is_refused() {
    let world = World::new(24);
    let mut client = snow_client(&world, &world.client_ephemeral, &agreement_scalar(&world));
    let (relay, second) = world.answer(&write(&mut client, &[])).unwrap();
    read(&mut client, &second[HEAD_ROOM..]);
    let identity = world.client();
    let twice = identity.public().agreement().bytes();
    let payload = [twice, &limits_bytes(&world.client_limits)[..]].concat();
    let message = write(&mut client, &payload);
    let refused = relay.read_message_3(&mut Software, &message).map(|_| ());
    assert_eq!(refused, Err(HandshakeError::InvalidKey));
}
