//! The firmware: its tests on this machine, its images, and the device's trials in QEMU.

use anyhow::{Result, ensure};

use super::{counts, runner};
use crate::report::{Counts, Tally};
use crate::{firmware, process, project, setup};

/// What is tried with the image in QEMU.
const TRIALS: [&str; 5] = [
    "f4_images",
    "f7_network",
    "f8_malformed_frames",
    "f10_killed_in_turn",
    "f11_relay_rules",
];
/// How much of each is tried every day: messages while each party is killed in turn, rounds of bad
/// weather, frames of a hostile relay. The environment says otherwise: in full they are 1000, 10 and
/// 1000000.
const EVERY_DAY: [(&str, &str); 3] = [
    ("HUSHWIRE_TRIAL_MESSAGES", "300"),
    ("HUSHWIRE_TRIAL_ROUNDS", "3"),
    ("HUSHWIRE_TRIAL_FRAMES", "4000"),
];

/// The steps.
pub(super) fn check(tally: &mut Tally) {
    tally.tests("firmware, on this machine", host);
    for board in firmware::BOARDS {
        tally.check(&format!("firmware for {}", board.name), || {
            let image = firmware::build(board, firmware::Image::App, PORTABLE)?;
            firmware::Footprint::of(&image)?.holds(board)
        });
    }
    tally.check("QEMU's board, part by part", firmware::check);
    tally.tests("trials of the device in QEMU", trials);
}

const PORTABLE: firmware::Backend = firmware::Backend::Portable;

fn host() -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    command.current_dir(project::root().join("firmware-example"));
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command.env(
        "CARGO_TARGET_DIR",
        project::target_dir().join("firmware-host"),
    );
    let logged = process::logged(&mut command, "firmware-tests")?;
    Ok((
        counts::of_cargo_test(&logged.text),
        runner::outcome(&logged),
    ))
}

fn trials() -> Result<(Counts, Result<()>)> {
    setup::qemu()?;
    let image = firmware::build(firmware::QEMU, firmware::Image::App, PORTABLE)?;
    // Chosen as the tests are: another choice has other features, and all dependencies would be compiled again.
    let mut programs = process::cargo();
    programs.args(["test", "--no-run"]);
    process::logged(&mut programs, "programs")?.must_succeed("the relay and the client")?;
    let folder = project::target_dir().join("debug");
    let mut command = process::cargo();
    command
        .args(["test", "--no-fail-fast", "--features"])
        .arg("hushwire-lab/gateway,hushwire-lab/hostile")
        .args(TRIALS.iter().flat_map(|name| ["--test", name]))
        .args(["--", "--nocapture", "--test-threads", "1"])
        .env("HUSHWIRE_FIRMWARE_IMAGE", image)
        .env("HUSHWIRE_RELAY_BINARY", folder.join("hushwire-relay"))
        .env("HUSHWIRE_CLIENT_BINARY", folder.join("hushwire"));
    for (name, value) in EVERY_DAY {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let logged = process::logged(&mut command, "trials")?;
    let counts = counts::of_cargo_test(&logged.text);
    ensure!(
        counts.passed + counts.failed > 0,
        "no trial ran; see {}",
        logged.log.display()
    );
    Ok((counts, runner::outcome(&logged)))
}
