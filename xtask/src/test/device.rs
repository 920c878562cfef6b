//! The firmware: its tests on this machine, its images, and the device's trials in QEMU.

use anyhow::{Result, ensure};

use super::{counts, runner};
use crate::report::{Counts, Tally};
use crate::{firmware, process, project, setup};

/// Messages of the everyday trial in which each party is killed in turn; `HUSHWIRE_TRIAL_MESSAGES`
/// says otherwise.
const MESSAGES: &str = "300";

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
    let mut programs = process::cargo();
    programs.args([
        "build",
        "--bins",
        "--package",
        "hushwire-relay",
        "--package",
        "hushwire",
    ]);
    process::logged(&mut programs, "programs")?.must_succeed("the relay and the client")?;
    let folder = project::target_dir().join("debug");
    let mut command = process::cargo();
    command
        .args([
            "test",
            "--package",
            "hushwire-lab",
            "--all-features",
            "--no-fail-fast",
        ])
        .args(["--test", "f10_killed_in_turn"])
        .args(["--", "--nocapture", "--test-threads", "1"])
        .env("HUSHWIRE_FIRMWARE_IMAGE", image)
        .env("HUSHWIRE_RELAY_BINARY", folder.join("hushwire-relay"))
        .env("HUSHWIRE_CLIENT_BINARY", folder.join("hushwire"));
    if std::env::var_os("HUSHWIRE_TRIAL_MESSAGES").is_none() {
        command.env("HUSHWIRE_TRIAL_MESSAGES", MESSAGES);
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
