//! A whole device: frames of its relay in, frames out. Storage and link are not counted.

use core::hint::black_box;

use hushwire_core::crypto::P256;
use hushwire_core::endpoint::{Config, Cx, Endpoint};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::limits::{DEVICE_MAX_SKIP, DEVICE_QUEUE};
use hushwire_core::peer::{Peer, Standing};
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{Answer, Welcome};
use hushwire_core::wire::bundle;
use hushwire_core::wire::request::Request;

use crate::desk::Desk;
use crate::dice::Dice;
use crate::meter::Meter;

/// As in the firmware.
const PREKEYS: usize = 8;
type Device<B> = Endpoint<SoftwareIdentity, B, DEVICE_MAX_SKIP, PREKEYS, DEVICE_QUEUE, 1>;

const LINK: u8 = 0;
const NOW: u64 = 1_000_000;
/// The largest frame of a device.
const FRAME: usize = 1400;
/// What an endpoint writes into: it wants room for the largest body besides.
const OUT: usize = FRAME + 1024;

static TEXT: [u8; 256] = [0x61; 256];

/// A device with its storage and its generator.
struct Unit<B> {
    device: Device<B>,
    desk: Desk,
    dice: Dice,
    sequence: u64,
}

/// What leaves a device and is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Publish,
    Prekeys,
    Fetch,
    Submit,
    Ack,
    Refuse,
}

fn kind(frame: &[u8]) -> Option<Wanted> {
    match Request::parse(frame).expect("an endpoint writes what parses") {
        Request::Publish { .. } => Some(Wanted::Publish),
        Request::Prekeys { .. } => Some(Wanted::Prekeys),
        Request::Fetch { .. } => Some(Wanted::Fetch),
        Request::Submit { .. } => Some(Wanted::Submit),
        Request::Ack(_) => Some(Wanted::Ack),
        Request::Refuse(_) => Some(Wanted::Refuse),
        _ => None,
    }
}

impl<B: P256 + Copy> Unit<B> {
    #[inline(never)]
    fn new(mut curve: B, seed: u8, friend: Address) -> Self {
        let identity = SoftwareIdentity::from_seed(&mut curve, &[seed; 32]).unwrap();
        let mut desk = Desk::new(Peer::new(friend, Standing::Contact, LINK));
        let mut dice = Dice::new(u64::from(seed));
        let config = Config {
            max_body: 1024,
            accept_strangers: false,
            home: LINK,
        };
        let mut cx = Cx {
            store: &mut desk,
            rng: &mut dice,
            now: NOW,
        };
        let device = Device::new(identity, curve, config, &mut cx).unwrap();
        Self {
            device,
            desk,
            dice,
            sequence: 0,
        }
    }

    fn frame(&mut self, frame: &mut [u8]) {
        let Self {
            device, desk, dice, ..
        } = self;
        let mut cx = Cx {
            store: desk,
            rng: dice,
            now: NOW,
        };
        let handled = device.handle_frame(&mut cx, LINK, frame);
        assert!(handled.is_ok(), "a frame was not taken");
        black_box(handled.ok());
    }

    fn poll(&mut self, out: &mut [u8; OUT]) -> Option<usize> {
        let Self {
            device, desk, dice, ..
        } = self;
        let mut cx = Cx {
            store: desk,
            rng: dice,
            now: NOW,
        };
        match device.poll_transmit(&mut cx, LINK, out) {
            Ok(polled) => polled,
            Err(_) => panic!("nothing was written"),
        }
    }

    fn send(&mut self, to: &Address) {
        let Self {
            device, desk, dice, ..
        } = self;
        let mut cx = Cx {
            store: desk,
            rng: dice,
            now: NOW,
        };
        assert!(device.send(&mut cx, to, &TEXT).is_ok(), "no room");
    }

    /// The relay says something; with a name it is counted what the device makes of it.
    #[inline(never)]
    fn hear(&mut self, meter: &mut Meter, name: Option<&str>, answer: &Answer<'_>) {
        let mut frame = [0; FRAME];
        let len = answer.emit(&mut frame).unwrap();
        let frame = &mut frame[..len];
        match name {
            Some(name) => meter.run(name, || self.frame(frame)),
            None => self.frame(frame),
        }
    }

    fn connect(&mut self, meter: &mut Meter) {
        let welcome = Welcome {
            epoch: 1,
            next_sequence: 0,
            unix_seconds: 0,
            waiting: 0,
            prekeys: 0,
            bundle_counter: 0,
        };
        self.hear(meter, None, &Answer::Welcome(welcome));
    }

    /// Polls until what is wanted leaves; with a name that poll is counted. The relay has done
    /// everything else.
    #[inline(never)]
    fn say(
        &mut self,
        meter: &mut Meter,
        name: Option<&str>,
        wanted: Wanted,
        out: &mut [u8; OUT],
    ) -> usize {
        for _ in 0..20 {
            let (polled, cost) = meter.count(|| self.poll(out));
            let len = polled.expect("something else is due");
            let said = kind(&out[..len]);
            if said == Some(wanted) {
                if let Some(name) = name {
                    meter.print(name, cost);
                }
                return len;
            }
            self.is_done(meter, &out[..len]);
        }
        panic!("what is wanted does not leave");
    }

    /// The relay's answer to what only has to be done.
    fn is_done(&mut self, meter: &mut Meter, said: &[u8]) {
        match Request::parse(said) {
            Ok(Request::Publish { number, .. } | Request::Prekeys { number, .. }) => {
                self.hear(meter, None, &Answer::Done { number });
            }
            Ok(Request::Submit { envelope, .. }) => {
                let id = EnvelopeId::of(envelope);
                self.hear(meter, None, &Answer::Accepted(id));
            }
            _ => {}
        }
    }

    /// The other's submission comes.
    fn deliver(&mut self, meter: &mut Meter, name: Option<&str>, from: Address, submitted: &[u8]) {
        let Ok(Request::Submit { envelope, .. }) = Request::parse(submitted) else {
            panic!("no submission");
        };
        self.hear(
            meter,
            name,
            &Answer::Deliver {
                sequence: self.sequence,
                stored_at: 0,
                sender: from,
                envelope,
            },
        );
        self.sequence += 1;
    }
}

fn address(mut curve: impl P256, seed: u8) -> Address {
    SoftwareIdentity::from_seed(&mut curve, &[seed; 32])
        .unwrap()
        .public()
        .address()
}

/// Two devices meet at a relay.
#[inline(never)]
pub(crate) fn measure<B: P256 + Copy>(meter: &mut Meter, curve: B) {
    let (alice, bob) = (address(curve, 21), address(curve, 22));
    let mut a = Unit::new(curve, 21, bob);
    let mut b = Unit::new(curve, 22, alice);
    let mut out = [0; OUT];

    b.connect(meter);
    let mut bytes = [0; bundle::MAX_LEN];
    let len = b.say(meter, Some("device_publish"), Wanted::Publish, &mut out);
    let Ok(Request::Publish { bundle, .. }) = Request::parse(&out[..len]) else {
        panic!("no bundle");
    };
    let bundle_len = bundle.len();
    bytes[..bundle_len].copy_from_slice(bundle);
    b.is_done(meter, &out[..len]);
    let name = "device_upload_8_prekeys";
    let len = b.say(meter, Some(name), Wanted::Prekeys, &mut out);
    let Ok(Request::Prekeys { keys, .. }) = Request::parse(&out[..len]) else {
        panic!("no prekeys");
    };
    let prekey = keys.iter().next();
    b.is_done(meter, &out[..len]);

    a.connect(meter);
    meter.run("device_send_256", || a.send(&bob));
    let len = a.say(meter, None, Wanted::Fetch, &mut out);
    let Ok(Request::Fetch { number, .. }) = Request::parse(&out[..len]) else {
        panic!("no question");
    };
    let answer = Answer::Bundle {
        number,
        address: bob,
        prekey,
        bundle: &bytes[..bundle_len],
    };
    a.hear(meter, Some("device_bundle_and_start"), &answer);
    let name = "device_submit_first_256";
    let len = a.say(meter, Some(name), Wanted::Submit, &mut out);
    a.is_done(meter, &out[..len]);
    b.deliver(meter, Some("device_deliver_first_256"), alice, &out[..len]);
    assert_eq!(b.desk.received, 1);

    // The answer is sealed before the ack leaves: one commit holds both.
    let len = b.say(meter, Some("device_submit_step"), Wanted::Submit, &mut out);
    b.is_done(meter, &out[..len]);
    a.deliver(meter, Some("device_deliver_step"), bob, &out[..len]);
    b.say(meter, Some("device_ack"), Wanted::Ack, &mut out);
    a.say(meter, None, Wanted::Ack, &mut out);

    running(meter, (&mut a, alice), (&mut b, bob), &mut out);
}

/// Messages of a session that runs, and one that is none.
#[inline(never)]
fn running<B: P256 + Copy>(
    meter: &mut Meter,
    (a, alice): (&mut Unit<B>, Address),
    (b, bob): (&mut Unit<B>, Address),
    out: &mut [u8; OUT],
) {
    // The first of these steps, the second does not.
    for names in [None, Some(["device_submit_256", "device_deliver_256"])] {
        a.send(&bob);
        let len = a.say(meter, names.map(|[name, _]| name), Wanted::Submit, out);
        a.is_done(meter, &out[..len]);
        b.deliver(meter, names.map(|[_, name]| name), alice, &out[..len]);
        b.say(meter, None, Wanted::Ack, out);
    }
    assert_eq!(b.desk.received, 3);
    a.send(&bob);
    let len = a.say(meter, None, Wanted::Submit, out);
    out[len - 20] ^= 1;
    b.deliver(meter, Some("device_deliver_forged_256"), alice, &out[..len]);
    b.say(meter, Some("device_refuse"), Wanted::Refuse, out);
    assert_eq!(b.desk.received, 3);
}
