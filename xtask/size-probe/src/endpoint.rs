//! The whole device: link records to frames, frames to the endpoint, state to a storage.

use core::hint::black_box;

use hushwire_core::crypto::P256;
use hushwire_core::endpoint::{Config, Cx, Endpoint};
use hushwire_core::identity::{Address, SoftwareIdentity};
use hushwire_core::limits::{DEVICE_MAX_SKIP, DEVICE_QUEUE};
use hushwire_core::peer::{Peer, Standing};
use hushwire_core::snapshot::StorageKey;
use hushwire_core::storage::Storage as _;
use hushwire_core::wire::frame::{Frames, append};

use crate::input::{Counter, array, bytes};
use crate::shelf::Shelf;

/// One-time prekeys that a device keeps on offer.
pub const ONE_TIME_PREKEYS: usize = 8;

/// Relays that it has links to.
pub const LINKS: usize = 1;

/// A device's endpoint.
pub type Device<B> =
    Endpoint<SoftwareIdentity, B, DEVICE_MAX_SKIP, ONE_TIME_PREKEYS, DEVICE_QUEUE, LINKS>;

/// Starts, or starts again; adds a contact; writes; reads one record; answers.
#[inline(never)]
pub fn exercise<B: P256 + Copy>(mut curve: B) -> Option<()> {
    let mut shelf = Shelf {
        contacts: [const { None }; 4],
        tentative: None,
        key: StorageKey::from_bytes(array()),
        record: array(),
    };
    let identity = SoftwareIdentity::from_seed(&mut curve, &array()).ok()?;
    let config = black_box(Config {
        max_body: 1024,
        accept_strangers: false,
        home: 0,
    });
    let mut cx = Cx {
        store: &mut shelf,
        rng: &mut Counter,
        now: black_box(1),
    };
    let mut device = if black_box(true) {
        Device::new(identity, curve, config, &mut cx).ok()?
    } else {
        Device::load(identity, curve, config, bytes()).ok()?
    };
    device.reconcile(black_box(1));
    let friend = Address(array());
    cx.store
        .create(Peer::new(friend, black_box(Standing::Contact), 0))
        .ok()?;
    black_box(device.send(&mut cx, &friend, bytes()).ok()?);
    converse(&mut device, &mut cx)
}

#[inline(never)]
fn converse<B: P256>(device: &mut Device<B>, cx: &mut Cx<'_, Shelf, Counter>) -> Option<()> {
    let mut record = array::<1400>();
    for frame in Frames::new(bytes()) {
        let mut buffer = array::<1400>();
        let place = buffer.get_mut(..frame.ok()?.len())?;
        black_box(device.handle_frame(cx, black_box(0), place).ok()?);
    }
    let mut at = 0;
    while let Ok(Some(len)) = device.poll_transmit(cx, black_box(0), &mut record) {
        at = append(&mut record, at, |_| Ok(len)).ok()?;
    }
    black_box((
        device.poll_timeout(cx).ok()?,
        device.address(),
        device.identity(),
    ));
    black_box((record, at));
    device.disconnected(cx, black_box(0)).ok()
}
