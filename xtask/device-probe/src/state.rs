//! A session on its way to storage and back.

use core::hint::black_box;

use hushwire_core::session::Position;
use hushwire_core::snapshot::{HEADROOM, OVERHEAD, StorageKey};

use crate::dice::Dice;
use crate::meter::Meter;
use crate::start::{DeviceSession, Sessions};

const RECORD: usize = DeviceSession::MAX_ENCODED + OVERHEAD;

/// Encoded and sealed; opened and decoded.
#[inline(never)]
pub(crate) fn measure(meter: &mut Meter, sessions: &mut Sessions) {
    let key = StorageKey::from_bytes(black_box([5; 32]));
    let mut dice = Dice::new(4);
    let mut record = [0; RECORD];
    let len = meter.run("snapshot_seal", || {
        let len = sessions
            .bob
            .encode(Position::Reserved, &mut record[HEADROOM..])
            .unwrap();
        let sealed = &mut record[..len + OVERHEAD];
        key.seal(&mut dice, b"slot", 1, sealed).unwrap();
        sealed.len()
    });
    meter.run("snapshot_open", || {
        let contents = key.open(b"slot", 1, &mut record[..len]).unwrap();
        DeviceSession::decode(contents).unwrap()
    });
}
