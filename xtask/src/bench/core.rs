//! `bench core`: hushwire-core beside vodozemac, in the release profile, in one process.

use anyhow::{Result, ensure};

use crate::process;

/// The command. Nothing here passes or fails: times are not repeatable on a shared machine.
pub(crate) fn run(json: bool) -> Result<()> {
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
