//! `cargo xtask bench`: figures for the README. Nothing here passes or fails; costs that must not
//! grow are limits of `cargo xtask size` and counts of instructions.

use anyhow::{Result, ensure};

use crate::process;

/// `bench core`: hushwire-core beside vodozemac, in the release profile, in one process.
pub(crate) fn core(json: bool) -> Result<()> {
    let mut command = process::cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "bench-core",
        "--",
    ]);
    if json {
        command.arg("--json");
    }
    let status = command.status()?;
    ensure!(status.success(), "the bench of the core failed, see above");
    Ok(())
}
