//! Format, clippy and documents, with every warning an error.

use std::process::Command;

use anyhow::Result;

use crate::report::Tally;
use crate::{process, size};

/// rustfmt over the workspace and over the size probe, which is a workspace of its own.
pub(super) fn format() -> Result<String> {
    run("format", process::cargo().args(["fmt", "--all", "--check"]))?;
    let mut probe = process::cargo();
    probe
        .current_dir(size::probe_folder())
        .args(["fmt", "--all", "--check"]);
    run("format-probe", &mut probe)
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
