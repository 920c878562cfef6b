//! Format, clippy and documents, with every warning an error.

use std::process::Command;

use anyhow::Result;

use crate::bench::device;
use crate::report::Tally;
use crate::{firmware, process, project, setup, size};

/// What is compiled for chips only is linted for this one.
const CHIP: &str = "thumbv7em-none-eabihf";

/// rustfmt over the workspace, and over the probes and the firmware, which are workspaces of their own.
pub(super) fn format() -> Result<String> {
    run("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    for folder in [
        size::probe_folder(),
        device::probe_folder(),
        firmware::folder(),
    ] {
        let mut probe = process::cargo();
        probe.current_dir(folder).args(["fmt", "--all", "--check"]);
        run("format-probe", &mut probe)?;
    }
    Ok(String::new())
}

/// Clippy as the parts are compiled together and alone, and the documents.
///
/// Alone matters: in the workspace the client turns the core's `e2ee` on for everyone, so a relay
/// that used a session type would still compile there.
pub(super) fn check(tally: &mut Tally) {
    tally.check("clippy, everything", || {
        clippy("all", &["--workspace", "--all-targets"])
    });
    tally.check("clippy, core without end-to-end encryption", || {
        clippy(
            "core",
            &[
                "--package",
                "hushwire-core",
                "--no-default-features",
                // Its own tests are of whole devices, which this build does not have.
                "--lib",
            ],
        )
    });
    tally.check("clippy, relay alone", || {
        clippy("relay", &["--package", "hushwire-relay"])
    });
    tally.check("clippy, relay without a cluster", || {
        clippy(
            "relay-single",
            &[
                "--package",
                "hushwire-relay",
                "--no-default-features",
                "--all-targets",
            ],
        )
    });
    // For their chip: on the host the backend is empty.
    for (what, folder, package) in [
        (
            "assembly backend",
            project::root(),
            "hushwire-p256-cortex-m4",
        ),
        ("device probe", device::probe_folder(), "device-probe"),
        ("device vectors", device::probe_folder(), "device-vectors"),
    ] {
        tally.check(&format!("clippy, {what}"), || {
            let mut command = setup::device()?.cargo("clippy", &[CHIP], &folder);
            command.args(["--quiet", "--package", package, "--", "-D", "warnings"]);
            run(&format!("clippy-{package}"), &mut command)
        });
    }
    tally.check("clippy, firmware and its tests on this machine", || {
        let mut command = process::cargo();
        command.current_dir(firmware::folder()).env(
            "CARGO_TARGET_DIR",
            project::target_dir().join("firmware-host"),
        );
        command.args(["clippy", "--quiet", "--workspace", "--all-targets"]);
        command.args(["--", "-D", "warnings"]);
        run("clippy-firmware", &mut command)
    });
    for board in firmware::BOARDS {
        tally.check(&format!("clippy, {}", board.name), || {
            let mut command =
                setup::embedded()?.cargo("clippy", &[board.target], &firmware::folder());
            command.env_remove("RUSTFLAGS");
            command.args(["--quiet", "--bins", "--features", board.name]);
            command.args(["--", "-D", "warnings"]);
            run(&format!("clippy-{}", board.name), &mut command)
        });
    }
    tally.check("documents", || {
        let mut command = process::cargo();
        command
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--quiet", "--no-deps"]);
        run("documents", &mut command)
    });
}

fn clippy(name: &str, selection: &[&str]) -> Result<String> {
    let mut command = process::cargo();
    command
        .args(["clippy", "--quiet"])
        .args(selection)
        .args(["--", "-D", "warnings"]);
    run(&format!("clippy-{name}"), &mut command)
}

fn run(name: &str, command: &mut Command) -> Result<String> {
    let what = process::shown(command);
    process::logged(command, name)?.must_succeed(&format!("`{what}`"))?;
    Ok(String::new())
}
