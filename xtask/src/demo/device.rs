//! The demo's second half: a person on the host commands a device, whose power is cut.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hushwire_lab::{Device, HOST, Person, Relay};

use super::tell;
use crate::{firmware, setup};

const SECRET: &str = "the safe opens with 7314";

/// The image for QEMU, with what runs it.
pub(super) fn image() -> Result<PathBuf> {
    setup::qemu()?;
    println!("Building the device's image.");
    firmware::build(
        firmware::QEMU,
        firmware::Image::App,
        firmware::Backend::Portable,
    )
}

/// A device in QEMU joins, is commanded, loses power, and goes on.
pub(super) fn run(
    image: &Path,
    folder: &Path,
    relay: &mut Relay,
    alice: &Person,
) -> Result<Device> {
    let mut device = Device::new(image, &folder.join("device"));
    device.power_on()?;
    device.wait_for("address")?;
    let address = device.tell("address")?.last;
    tell(
        "device",
        &format!("boots in QEMU, a Cortex-M4 with 64 KiB of RAM, and made its keys:\n{address}"),
    );
    // Inside QEMU this machine's loopback has another address.
    let url = relay.url().replacen("127.0.0.1", HOST, 1);
    device.tell(&format!("relay {url}"))?;
    device.tell(&format!("contact add alice {}", alice.address()))?;
    device.wait_until_online()?;
    alice.learn_card("lamp", &address)?;
    tell(
        "owner",
        "types the relay and alice's address at the device's console",
    );

    let mut at_alice = alice.listen()?;
    alice.send("lamp", "led on")?;
    at_alice.wait_for("led on")?;
    tell("alice", "writes: \"led on\"\nreads: \"led on\"");

    device.cut_power()?;
    tell("device", "loses its power");
    let state = alice.send("lamp", &format!("echo {SECRET}"))?;
    tell(
        "alice",
        &format!("writes: \"echo {SECRET}\"\nstate: {state}"),
    );
    relay.kill()?;
    tell("relay", "is killed with SIGKILL while it keeps the message");
    device.power_on()?;
    tell("device", "has power again, and no relay");
    relay.restart()?;
    tell("relay", "starts again on the same store");
    at_alice.wait_for(SECRET)?;
    tell("alice", &format!("reads: \"{SECRET}\""));
    let status = device.tell("status")?;
    let state = status.value("state").context("`status` tells no state")?;
    ensure!(state == "online", "the device says that it is {state}");
    tell("device", &format!("status:\n{}", status.lines.join("\n")));
    device.cut_power()?;
    Ok(device)
}

/// What only alice and the device may know.
pub(super) const TEXTS: [&str; 3] = [SECRET, "7314", "alice"];
