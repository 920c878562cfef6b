//! F4, F5: the image in QEMU over flash that is noise, damaged, another device's, or older. It
//! always says what it is, and a reset makes a device of it.

mod common;

use common::{address, folder, image, provision, relay_and_alice, seen_by_device};
use hushwire_lab::Device;

/// 64 KiB in pages of 4 KiB.
const FLASH: usize = 64 * 1024;
const PAGE: usize = 4096;

#[test]
fn f4_images() {
    let folder = folder();
    let (relay, alice) = relay_and_alice(folder.path());
    let mut device = Device::new(&image(), &folder.path().join("device"));
    let own = provision(&mut device, &seen_by_device(&relay), &alice);
    alice.learn_card("device", &own).unwrap();
    let older = std::fs::read(device.flash()).unwrap();
    alice
        .run(&["send", "--wait", "device", "echo before"])
        .unwrap();
    device.cut_power().unwrap();
    let good = std::fs::read(device.flash()).unwrap();
    let key = std::fs::read(device.key()).unwrap();

    let mut other = Device::new(&image(), &folder.path().join("other"));
    other.power_on().unwrap();
    let stranger = address(&mut other);
    other.cut_power().unwrap();
    let foreign = std::fs::read(other.flash()).unwrap();

    let mut half = good.clone();
    half[FLASH / 2..].fill(0);
    let unusable: &[&str] = &["needs-pairing"];
    let any: &[&str] = &["needs-pairing", "fault", "online", "connecting"];
    for (what, flash, states) in [
        ("noise", noise(1, FLASH), unusable),
        ("zeros", vec![0; FLASH], unusable),
        ("another device's", foreign, unusable),
        ("half of it", half, any),
        ("every tenth page lost", lost_pages(&good, 10), any),
        ("every second page lost", lost_pages(&good, 2), any),
        ("bits flipped", flipped(&good), any),
    ] {
        std::fs::write(device.flash(), &flash).unwrap();
        std::fs::write(device.key(), &key).unwrap();
        device.power_on().unwrap();
        let (state, found) = state(&mut device);
        println!("{what:<24} {state}, image {found}");
        assert!(states.contains(&state.as_str()), "{what}: {state}");

        device.tell("reset CONFIRM").unwrap();
        device.wait_for("first start").unwrap();
        assert_eq!(self::state(&mut device).1, "new", "{what}");
        let fresh = address(&mut device);
        assert!(fresh != own && fresh != stranger, "{what}: keys came back");
        device.cut_power().unwrap();
    }

    // The present image, and then the one of before the conversation: the board can tell.
    std::fs::write(device.key(), &key).unwrap();
    std::fs::write(device.flash(), &good).unwrap();
    device.power_on().unwrap();
    device.wait_until_online().unwrap();
    assert_eq!(state(&mut device).1, "ready");
    device.cut_power().unwrap();
    std::fs::write(device.flash(), &older).unwrap();
    device.power_on().unwrap();
    device.wait_until_online().unwrap();
    let found = state(&mut device).1;
    println!("{:<24} image {found}", "older");
    assert_eq!(found, "older");
    assert_eq!(address(&mut device), own);
    // The conversation begins anew, and goes on.
    let _listening = alice.listen().unwrap();
    device
        .tell(&format!("send {} I am back", alice.name()))
        .unwrap();
    device.wait_for("delivered").unwrap();
}

/// What the device says of itself and of its image.
fn state(device: &mut Device) -> (String, String) {
    let status = device.tell("status").unwrap();
    let value = |name| {
        status
            .value(name)
            .expect("an item of the status")
            .to_owned()
    };
    (value("state"), value("image"))
}

/// The same noise for the same seed: xorshift, nothing that has to be random.
fn noise(mut seed: u32, len: usize) -> Vec<u8> {
    let next = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed.to_le_bytes()[1]
    };
    (0..len).map(next).collect()
}

fn lost_pages(good: &[u8], nth: usize) -> Vec<u8> {
    let pages = good.chunks(PAGE).enumerate();
    pages
        .flat_map(|(at, page)| {
            if at % nth == 1 {
                vec![0xff; PAGE]
            } else {
                page.to_vec()
            }
        })
        .collect()
}

fn flipped(good: &[u8]) -> Vec<u8> {
    let pairs = good.iter().zip(noise(7, good.len()));
    pairs
        .map(|(byte, noise)| byte ^ u8::from(noise == 0))
        .collect()
}
