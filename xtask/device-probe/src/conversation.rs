//! Messages of a running session: sealed, opened, with a ratchet step, out of order, forged.

use core::hint::black_box;

use hushwire_core::crypto::P256;
use hushwire_core::limits::{DEVICE_MAX_SKIP, MAX_JUMP};
use hushwire_core::session::{Content, Kind, OpenError};
use hushwire_core::wire::MessageId;
use hushwire_core::wire::envelope::{OVERHEAD, START_LEN};

use crate::dice::Dice;
use crate::meter::Meter;
use crate::start::{DeviceSession, Sessions};

/// The largest envelope of a device.
pub(crate) const BUFFER: usize = 1024 + OVERHEAD + START_LEN;

static TEXT: [u8; 1024] = [0x61; 1024];

/// Seals `body`; the envelope leaves at once, as if storage held the session.
pub(crate) fn seal<B: P256>(
    session: &mut DeviceSession,
    mut curve: B,
    dice: &mut Dice,
    body: &[u8],
    out: &mut [u8],
) -> usize {
    let content = Content {
        kind: Kind::DATA,
        id: MessageId([9; 16]),
        body,
    };
    let sealed = session
        .seal(&mut curve, dice, &content, out)
        .expect("a sound session");
    black_box(&sealed);
    session.sealed_len(body.len()).expect("not too long")
}

fn open<B: P256>(session: &mut DeviceSession, mut curve: B, envelope: &mut [u8]) {
    black_box(session.open(&mut curve, envelope).expect("a good envelope"));
}

/// Each operation; the sessions end with keys kept in every chain.
#[inline(never)]
pub(crate) fn measure<B: P256 + Copy>(meter: &mut Meter, curve: B, sessions: &mut Sessions) {
    let Sessions { alice, bob, dice } = sessions;
    let mut buffer = [0; BUFFER];
    let out = &mut buffer;

    // Bob answers under a key of his own, Alice under the one that follows.
    let len = meter.run("seal_256_step", || {
        seal(bob, curve, dice, &TEXT[..256], out)
    });
    meter.run("open_256_step", || open(alice, curve, &mut out[..len]));
    let len = seal(alice, curve, dice, b"", out);
    open(bob, curve, &mut out[..len]);

    for (size, sealing, opening) in [
        (16, "seal_16", "open_16"),
        (256, "seal_256", "open_256"),
        (1024, "seal_1024", "open_1024"),
    ] {
        let len = meter.run(sealing, || seal(alice, curve, dice, &TEXT[..size], out));
        meter.run(opening, || open(bob, curve, &mut out[..len]));
    }
    forged(meter, curve, sessions);
}

/// What a hostile relay can make a device compute.
#[inline(never)]
fn forged<B: P256 + Copy>(meter: &mut Meter, curve: B, sessions: &mut Sessions) {
    keep_keys_in_every_chain(curve, sessions);
    let Sessions { alice, bob, dice } = sessions;
    let mut buffer = [0; BUFFER];
    let out = &mut buffer;

    // Garbage in a message's form: the trial of four header keys, whatever its size.
    for (size, name) in [(0, "forged_32"), (1024, "forged_1024")] {
        let len = seal(alice, curve, dice, &TEXT[..size], out);
        out[3] ^= 1; // the salt
        meter.run(name, || refuse(bob, curve, &mut out[..len]));
    }

    // An authentic header over an altered body.
    let len = seal(alice, curve, dice, &TEXT[..256], out);
    let body = len - 256;
    out[body] ^= 1;
    meter.run("altered_256", || refuse(bob, curve, &mut out[..len]));

    // The furthest jump that is taken: only the peer itself can ask for it.
    for _ in 0..MAX_JUMP - 3 {
        seal(alice, curve, dice, b"", out);
    }
    let len = seal(alice, curve, dice, b"", out);
    meter.run("open_after_1024_lost", || open(bob, curve, &mut out[..len]));
}

fn refuse<B: P256>(session: &mut DeviceSession, mut curve: B, envelope: &mut [u8]) {
    let refused = session.open(&mut curve, envelope).map(drop);
    assert_eq!(refused, Err(OpenError::Unopenable));
}

/// Alice's messages go missing in three chains, so that Bob tries all the headers that he can.
fn keep_keys_in_every_chain<B: P256 + Copy>(curve: B, sessions: &mut Sessions) {
    let Sessions { alice, bob, dice } = sessions;
    let mut buffer = [0; BUFFER];
    for _ in 0..3 {
        let len = seal(bob, curve, dice, b"", &mut buffer);
        open(alice, curve, &mut buffer[..len]);
        for _ in 0..DEVICE_MAX_SKIP / 4 {
            seal(alice, curve, dice, b"", &mut buffer);
        }
        let len = seal(alice, curve, dice, b"", &mut buffer);
        open(bob, curve, &mut buffer[..len]);
    }
}
