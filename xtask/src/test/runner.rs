//! The tests themselves: nextest where it is installed, else `cargo test`, which counts the same.

use anyhow::{Result, anyhow, bail};

use super::counts;
use crate::process::{self, Logged, tail};
use crate::report::Counts;

/// Unit and integration tests of the workspace's default members.
pub(super) fn tests() -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    let nextest = process::on_path("cargo-nextest").is_some();
    if nextest {
        command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]);
        command.args(["--status-level", "fail", "--failure-output", "final"]);
    } else {
        command.args([
            "test",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]);
    }
    let logged = process::logged(&mut command, "tests")?;
    let counts = if nextest {
        counts::of_nextest(&logged.text)
    } else {
        counts::of_cargo_test(&logged.text)
    };
    if logged.status.success() && counts.passed == 0 {
        bail!("no test ran; see {}", logged.log.display());
    }
    Ok((counts, outcome(&logged)))
}

/// The examples in the documentation comments, which nextest does not run.
pub(super) fn doctests() -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    command.args(["test", "--doc", "--no-fail-fast"]);
    let logged = process::logged(&mut command, "doctests")?;
    Ok((counts::of_cargo_test(&logged.text), outcome(&logged)))
}

fn outcome(logged: &Logged) -> Result<()> {
    if logged.status.success() {
        return Ok(());
    }
    Err(anyhow!(
        "whole log in {}:\n{}",
        logged.log.display(),
        tail(&logged.text, 80)
    ))
}
