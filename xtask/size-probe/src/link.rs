//! The link's client side: handshake, records out and in.

use core::hint::black_box;

use hushwire_core::crypto::{P256, PublicKey};
use hushwire_core::identity::SoftwareIdentity;
use hushwire_core::link::{
    Bounds, FLIGHT_1_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, Next, RecordReader,
    Transport,
};

use crate::input::{Counter, array, bytes};

/// What a device reads and writes at once: one frame of its own largest message.
const RECORD: usize = 1400;

/// Connects, then exchanges a record each way.
#[inline(never)]
pub fn exercise(curve: impl P256) -> Option<()> {
    let mut stream = RecordReader::new(array::<RECORD>());
    let transport = connect(&mut stream, curve)?;
    black_box(transport.peer_limits().window());
    let (mut sealer, mut opener) = transport.split();
    let mut record = array::<RECORD>();
    let len = sealer
        .seal(&mut record, black_box(RECORD - HEAD_ROOM))
        .ok()?;
    black_box(record.get(..len)?);
    let Next::Record(record) = stream.next_record(black_box(Bounds::exactly(1))).ok()? else {
        return None;
    };
    black_box(opener.open(record).ok()?);
    Some(())
}

#[inline(never)]
fn connect(stream: &mut RecordReader<[u8; RECORD]>, mut curve: impl P256) -> Option<Transport> {
    let mut identity = SoftwareIdentity::from_seed(&mut curve, &array()).ok()?;
    let relay = PublicKey::parse(&mut curve, &array()).ok()?;
    let limits = LinkLimits::new(black_box(1400), black_box(1382), black_box(1)).ok()?;
    let (mut first, mut third) = ([0; FLIGHT_1_LEN], [0; FLIGHT_3_LEN]);
    let sent = Initiator::new(relay, limits)
        .write_message_1(&mut curve, &mut Counter, &mut first)
        .ok()?;
    black_box(first);
    let room = stream.room().iter_mut().zip(bytes());
    room.for_each(|(place, byte)| *place = *byte);
    stream.filled(bytes().len());
    let Next::Record(second) = stream.next_record(black_box(Bounds::exactly(1))).ok()? else {
        return None;
    };
    let read = sent.read_message_2(&mut curve, second).ok()?;
    let transport = read
        .write_message_3(&mut curve, &mut identity, &mut third)
        .ok()?;
    black_box(third);
    Some(transport)
}
