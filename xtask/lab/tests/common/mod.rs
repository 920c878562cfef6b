//! What the device's trials share: where the programs are, and a device that knows alice.
#![allow(dead_code, reason = "each trial uses a part of it")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hushwire_lab::{Binaries, Device, HOST, Person, Relay};

/// The programs, built by `cargo xtask test`, which names them in the environment.
pub(crate) fn binaries() -> Binaries {
    Binaries {
        relay: named("HUSHWIRE_RELAY_BINARY"),
        client: named("HUSHWIRE_CLIENT_BINARY"),
    }
}

/// The firmware's image for QEMU.
pub(crate) fn image() -> PathBuf {
    named("HUSHWIRE_FIRMWARE_IMAGE")
}

fn named(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!(
            "{variable} names no file: these trials need built programs and run by `cargo xtask \
             test` or `cargo xtask trial`"
        ),
    }
}

/// A setting of a trial, from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// The relay's URL as the device behind QEMU's own network has to write it.
pub(crate) fn seen_by_device(relay: &Relay) -> String {
    url_at(relay, HOST)
}

/// The relay's URL with another host.
pub(crate) fn url_at(relay: &Relay, host: &str) -> String {
    relay.url().replacen("127.0.0.1", host, 1)
}

/// A device that was provisioned at its console and knows `friend`; returns its address.
pub(crate) fn provision(device: &mut Device, url: &str, friend: &Person) -> String {
    device.power_on().unwrap();
    device.wait_for("# ").unwrap();
    device.tell(&format!("relay {url}")).unwrap();
    let add = format!("contact add {} {}", friend.name(), friend.address());
    device.tell(&add).unwrap();
    device.wait_until_online().unwrap();
    address(device)
}

/// The device's address, as its console prints it.
pub(crate) fn address(device: &mut Device) -> String {
    let answer = device.tell("address").unwrap();
    let lines = answer.lines.iter().chain([&answer.last]);
    let mut words = lines.flat_map(|line| line.split_whitespace());
    let address = words.find(|word| word.starts_with("hush1"));
    address.expect("an address").to_owned()
}

/// Asks again until it is so.
pub(crate) fn until(
    what: &str,
    patience: Duration,
    device: &mut Device,
    mut is_so: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + patience;
    let mut console = Vec::new();
    while !is_so() {
        console.extend(device.unread());
        let last = console.len().saturating_sub(40);
        assert!(device.is_on(), "QEMU has ended: {:#?}", &console[last..]);
        assert!(
            Instant::now() < deadline,
            "{what}: not within {patience:?}; the device's console: {:#?}",
            &console[last..]
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A folder for one trial.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A relay and alice, who has a vault there.
pub(crate) fn relay_and_alice(folder: &Path) -> (Relay, Person) {
    let relay = Relay::start(&binaries(), &folder.join("relay")).unwrap();
    let alice = Person::join_with_key_file(&binaries(), folder, "alice", relay.url()).unwrap();
    (relay, alice)
}
