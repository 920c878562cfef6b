//! F8: a relay that means harm does not reset a device, nor make its stack grow.

mod common;

use std::time::Duration;

use common::{folder, image, relay_and_alice, seen_by_device, setting};
use hushwire_lab::{Device, HOST, Harmed, HostileRelay};

/// Each way of doing harm twice.
const CONNECTIONS: u64 = 20;
const LOOK: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(3600);

#[test]
fn f8_malformed_frames() {
    let frames = setting("HUSHWIRE_TRIAL_FRAMES", 20_000);
    let folder = folder();
    let (relay, alice) = relay_and_alice(folder.path());
    let mut device = Device::new(&image(), &folder.path().join("device"));
    let address = common::provision(&mut device, &seen_by_device(&relay), &alice);
    alice.learn_card("device", &address).unwrap();

    // A conversation first: what it needs of the stack is the mark, and the harm aims at it, too.
    alice
        .run(&["send", "--wait", "device", "echo before"])
        .unwrap();
    let (stack, boots) = (stack(&mut device), boots(&mut device));

    let hostile = HostileRelay::start(8, frames / 8).unwrap();
    hostile.impersonate(alice.address().parse().unwrap());
    let harm = format!(
        "hush://{HOST}:{}/#{}",
        hostile.address().port(),
        hostile.key()
    );
    device.tell(&format!("relay {harm}")).unwrap();
    let mut tale = hostile.tale();
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        std::thread::sleep(LOOK);
        let before = std::mem::replace(&mut tale, hostile.tale());
        if tale.frames >= frames && tale.connections >= CONNECTIONS {
            break;
        }
        if before == tale {
            // It waits longer after each bad connection. Its owner bids it to try at once.
            device.tell(&format!("relay {harm}")).unwrap();
        }
    }
    let Harmed {
        frames: sent,
        connections,
        refusals,
    } = tale;
    assert!(
        sent >= frames && connections >= CONNECTIONS,
        "only {tale:?} within {PATIENCE:?}"
    );
    let after = self::stack(&mut device);
    println!(
        "{sent} hostile frames over {connections} connections, {refusals} deliveries refused; \
         stack {stack} -> {after} bytes"
    );
    assert!(
        refusals * 20 > sent,
        "the device did not read what was sent"
    );
    assert_eq!(self::boots(&mut device), boots, "the device started anew");
    // Handshakes are the deepest call, and have all been made before.
    assert!(
        after <= stack + 256,
        "the stack grew from {stack} to {after} bytes"
    );

    // And it still talks, at its own relay.
    let home = seen_by_device(&relay);
    device.tell(&format!("relay {home}")).unwrap();
    alice
        .run(&["send", "--wait", "device", "echo after"])
        .unwrap();
}

fn number(device: &mut Device, name: &str) -> u64 {
    let status = device.tell("status").unwrap();
    let value = status
        .value(name)
        .unwrap_or_else(|| panic!("no {name} in {status:?}"));
    let digits = value.split_whitespace().next().unwrap_or_default();
    digits.parse().expect("a number")
}

fn stack(device: &mut Device) -> u64 {
    number(device, "stack")
}

fn boots(device: &mut Device) -> u64 {
    number(device, "boots")
}
