//! The parts of QEMU's board, one by one, through the image `board-check`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hushwire_lab::Device;

use super::{Backend, Image, QEMU, build};
use crate::setup;

/// Bytes of the board's flash.
const FLASH: u32 = 64 * 1024;

/// Times that the echo goes there and back.
const ROUNDS: u32 = 200;

/// Boots the board and tries everything; one line of figures.
pub(crate) fn check() -> Result<String> {
    setup::qemu()?;
    let image = build(QEMU, Image::Check, Backend::Portable)?;
    let folder = tempfile::tempdir().context("cannot make a folder for the device")?;
    let mut device = Device::new(&image, folder.path());
    start(&mut device)?;
    let network = network(&mut device)?;
    clock(&mut device)?;
    flash(&mut device)?;
    ends(&mut device)?;
    entropy(&mut device)?;
    counted(&mut device)?;
    Ok(network)
}

fn start(device: &mut Device) -> Result<()> {
    device.power_on()?;
    device.wait_for("# ready")?;
    Ok(())
}

fn network(device: &mut Device) -> Result<String> {
    let echo = TcpListener::bind("127.0.0.1:0").context("no port for the echo")?;
    let port = echo.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in echo.incoming().take(1).flatten() {
            let mut bytes = [0; 2048];
            while let Ok(len @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..len]).is_err() {
                    return;
                }
            }
        }
    });
    says(device, "net", "10.0.2.15/24")?;
    says(device, "link", "true")?;
    let took = device.tell(&format!("tcp {port} {ROUNDS}"))?.last;
    let stack = device.tell("stack")?.last;
    Ok(format!(
        "{ROUNDS} x 512 bytes there and back in {took}, stack {stack} bytes"
    ))
}

/// The device's milliseconds against the host's.
fn clock(device: &mut Device) -> Result<()> {
    for asked in [1_u64, 50, 1500] {
        let start = Instant::now();
        let measured = device.tell(&format!("sleep {asked}"))?.last;
        let elapsed = start.elapsed();
        let measured: u64 = measured.parse().context("no number")?;
        let late = Duration::from_millis(500);
        ensure!(
            measured >= asked
                && elapsed >= Duration::from_millis(asked)
                && elapsed <= Duration::from_millis(asked) + late,
            "{asked} ms took {measured} ms there and {elapsed:?} here"
        );
    }
    Ok(())
}

/// What was written is there after the plug was pulled, and bits are only cleared between erases.
fn flash(device: &mut Device) -> Result<()> {
    says(device, "sum", &(FLASH * 0xff).to_string())?;
    says(device, "key", "false")?;
    device.tell("fill 90")?;
    device.tell("and 60")?;
    device.cut_power()?;
    start(device)?;
    says(device, "sum", &(FLASH * (90 & 60)).to_string())?;
    says(device, "key", "true")?;
    // Cut short at some moment, it is still a flash.
    for pause in [0, 3, 10] {
        device.type_line("fill 1")?;
        std::thread::sleep(Duration::from_millis(pause));
        device.cut_power()?;
        start(device)?;
        device.tell("sum")?;
    }
    Ok(())
}

/// Every end is a restart, and no restart leaves a file of the host open.
fn ends(device: &mut Device) -> Result<()> {
    for (command, said) in [
        ("panic", "# panic: restart"),
        ("overflow", "# fault: restart"),
        // The program, nothing, and what QEMU has beyond 64 KiB.
        ("poke 4096", "# fault: restart"),
        ("poke 536870908", "# fault: restart"),
        ("poke 536936448", "# fault: restart"),
    ] {
        device.type_line(command)?;
        device.wait_for(said)?;
        device.wait_for("# ready")?;
    }
    device.tell("poke 536936444")?;
    device.tell("guard 1")?;
    device.wait_for("# watchdog: restart")?;
    device.wait_for("# ready")?;
    device.tell("guard 1")?;
    device.type_line("starve")?;
    device.wait_for("# watchdog: restart")?;
    device.wait_for("# ready")?;
    let before = device.open_files();
    for _ in 0..20 {
        device.type_line("restart")?;
        device.wait_for("# ready")?;
    }
    device.tell("sum")?;
    let after = device.open_files();
    ensure!(
        after <= before,
        "20 restarts left files open: {before:?} before, {after:?} after"
    );
    device.cut_power()
}

/// Noise that is none is there when it is asked for.
fn entropy(device: &mut Device) -> Result<()> {
    device.feed_noise("stuck");
    start(device)?;
    let first = device.tell("noise")?.last;
    says(device, "noise", &first)?;
    device.cut_power()?;
    device.feed_noise("fail");
    start(device)?;
    ensure!(device.tell("noise").is_err(), "noise from nowhere");
    device.cut_power()?;
    device.feed_noise("good");
    start(device)?;
    let first = device.tell("noise")?.last;
    ensure!(device.tell("noise")?.last != first, "the same noise twice");
    device.cut_power()
}

/// With instructions for a clock it works as well.
fn counted(device: &mut Device) -> Result<()> {
    device.count_instructions();
    start(device)?;
    says(device, "net", "10.0.2.15/24")?;
    let measured: u64 = device.tell("sleep 200")?.last.parse()?;
    // Never early; late by as much as this machine is busy, for QEMU sleeps by its clock.
    ensure!((200..1000).contains(&measured), "200 ms took {measured} ms");
    device.cut_power()
}

fn says(device: &mut Device, command: &str, expected: &str) -> Result<()> {
    let answer = device.tell(command)?.last;
    ensure!(
        answer == expected,
        "`{command}` answers `{answer}`, not `{expected}`"
    );
    Ok(())
}
