//! The link to the relay: a device's side of the handshake, then a record each way.

use hushwire_core::crypto::{KeyPair, P256};
use hushwire_core::link::{
    FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, Responder,
    SentMessage2, TAIL_ROOM, Transport,
};

use crate::dice::Dice;
use crate::meter::Meter;
use crate::people::People;

const FRAME: usize = 256;

/// What the relay does between the device's flights is not counted.
#[inline(never)]
pub(crate) fn measure<B: P256 + Copy>(meter: &mut Meter, mut curve: B, people: &mut People) {
    let mut dice = Dice::new(5);
    let relay_key = KeyPair::generate(&mut curve, &mut dice).unwrap();
    let limits = LinkLimits::new(1400, 1382, 1).unwrap();
    let (mut first, mut third) = ([0; FLIGHT_1_LEN], [0; FLIGHT_3_LEN]);

    let called = meter.run("link_message_1", || {
        Initiator::new(*relay_key.public(), limits)
            .write_message_1(&mut curve, &mut dice, &mut first)
            .unwrap()
    });
    let (relay, second) = answer(curve, &relay_key, limits, &first);
    let client = meter.run("link_messages_2_and_3", || {
        called
            .read_message_2(&mut curve, &second[HEAD_ROOM..])
            .unwrap()
            .write_message_3(&mut curve, &mut people.alice, &mut third)
            .unwrap()
    });
    let (relay, _) = relay
        .read_message_3(&mut curve, &third[HEAD_ROOM..])
        .unwrap();
    records(meter, client, relay);
}

#[inline(never)]
fn answer<B: P256>(
    mut curve: B,
    relay_key: &KeyPair,
    limits: LinkLimits,
    first: &[u8; FLIGHT_1_LEN],
) -> (SentMessage2, [u8; FLIGHT_2_LEN]) {
    let mut second = [0; FLIGHT_2_LEN];
    let (preamble, message) = first.split_first_chunk().unwrap();
    let relay = Responder::greet(preamble)
        .unwrap()
        .read_message_1(&mut curve, relay_key, &message[HEAD_ROOM..])
        .unwrap()
        .write_message_2(&mut curve, &mut Dice::new(6), limits, &mut second)
        .unwrap();
    (relay, second)
}

#[inline(never)]
fn records(meter: &mut Meter, client: Transport, relay: Transport) {
    let (mut sealer, mut opener) = (client.split().0, relay.split().1);
    let mut record = [0x61; HEAD_ROOM + FRAME + TAIL_ROOM];
    meter.run("record_seal_256", || {
        sealer.seal(&mut record, FRAME).unwrap();
    });
    meter.run("record_open_256", || {
        opener.open(&mut record[HEAD_ROOM..]).unwrap();
    });
}
