//! PROTOCOL 3.1 to 3.4.

use hushwire_core::{
    crypto::Software,
    identity::IdentityKeys as _,
    link::{
        FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, Opener,
        Responder, Sealer, TAIL_ROOM, Transport,
    },
    wire::{
        answer::Answer,
        frame::{self, Frames},
        request::Request,
    },
};

use crate::support::{Script, Vector, hex, read, same};

fn limits(bytes: &[u8]) -> LinkLimits {
    let field = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    LinkLimits::new(field(0), field(2), field(4)).unwrap()
}

/// Both sides of the core shake hands; each flight is the vector's.
fn shake_hands(file: &Vector<'_>) -> (Transport, Transport) {
    let mut alice = file.identity("client");
    let relay_key = file.pair("relay_scalar");
    assert_eq!(*relay_key.public(), file.point("relay_key"));
    let (ours, theirs) = (
        limits(&file.bytes("client_limits")),
        limits(&file.bytes("relay_limits")),
    );
    let mut client_rng = Script::new(file.bytes("client_random"));
    let mut relay_rng = Script::new(file.bytes("relay_random"));

    let mut first = [0; FLIGHT_1_LEN];
    let client = Initiator::new(*relay_key.public(), ours)
        .write_message_1(&mut Software, &mut client_rng, &mut first)
        .unwrap();
    same("client_flight_1", &first, &file.bytes("client_flight_1"));
    let (preamble, message) = first.split_first_chunk().unwrap();
    let mut second = [0; FLIGHT_2_LEN];
    let relay = Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut Software, &relay_key, &message[HEAD_ROOM..])
        .unwrap()
        .write_message_2(&mut Software, &mut relay_rng, theirs, &mut second)
        .unwrap();
    same("relay_flight", &second, &file.bytes("relay_flight"));
    let mut third = [0; FLIGHT_3_LEN];
    let client = client
        .read_message_2(&mut Software, &second[HEAD_ROOM..])
        .unwrap()
        .write_message_3(&mut Software, &mut alice, &mut third)
        .unwrap();
    same("client_flight_2", &third, &file.bytes("client_flight_2"));
    let (relay, who) = relay
        .read_message_3(&mut Software, &third[HEAD_ROOM..])
        .unwrap();
    assert_eq!(who, *alice.public());
    assert_eq!(
        (*relay.peer_limits(), *client.peer_limits()),
        (ours, theirs)
    );
    assert!(client_rng.is_used_up() && relay_rng.is_used_up());
    (client, relay)
}

fn carry(sealer: &mut Sealer, opener: &mut Opener, vector: &Vector<'_>) {
    let frames: Vec<_> = vector
        .list("frames")
        .iter()
        .map(|frame| hex(frame.as_text()))
        .collect();
    let plain = vector.bytes("plaintext");
    let mut record = vec![0; HEAD_ROOM + plain.len() + TAIL_ROOM];
    let mut len = 0;
    for bytes in &frames {
        len = frame::append(&mut record[HEAD_ROOM..], len, |room| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })
        .unwrap();
    }
    same("plaintext", &record[HEAD_ROOM..HEAD_ROOM + len], &plain);
    let len = sealer.seal(&mut record, plain.len()).unwrap();
    same("record", &record[..len], &vector.bytes("record"));

    let mut record = vector.bytes("record");
    let opened = opener.open(&mut record[HEAD_ROOM..]).unwrap();
    let walked: Vec<_> = Frames::new(opened)
        .map(|frame| frame.unwrap().to_vec())
        .collect();
    assert_eq!(walked, frames);
}

/// Every frame reads as what it is, and is written back as it was.
fn understood(to_relay: bool, vector: &Vector<'_>) {
    for frame in vector.list("frames") {
        let (frame, mut buffer) = (hex(frame.as_text()), [0; 128]);
        let len = match to_relay {
            true => Request::parse(&frame).unwrap().emit(&mut buffer).unwrap(),
            false => Answer::parse(&frame).unwrap().emit(&mut buffer).unwrap(),
        };
        same("frame", &buffer[..len], &frame);
    }
}

#[test]
fn handshake_and_records() {
    let file = read("link.json");
    let (client, relay) = shake_hands(&file);
    let (mut client_seals, mut client_opens) = client.split();
    let (mut relay_seals, mut relay_opens) = relay.split();
    let mut ways = [0, 0];
    for record in file.list("records") {
        let to_relay = record.text("way") == "client to relay";
        match to_relay {
            true => carry(&mut client_seals, &mut relay_opens, &record),
            false => carry(&mut relay_seals, &mut client_opens, &record),
        }
        understood(to_relay, &record);
        ways[usize::from(to_relay)] += 1;
    }
    assert_eq!(ways, [2, 2]);
}
