//! `cargo xtask vectors`: `docs/vectors`, from the implementation that is not the core's.

use anyhow::{Result, ensure};

use crate::{process, project};

/// Writes every file anew. A test compares the stored ones with what this would write.
pub(crate) fn run() -> Result<()> {
    let folder = project::root().join("docs").join("vectors");
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--package", "vectors", "--"]);
    let status = command.arg(folder).status()?;
    ensure!(status.success(), "the vectors were not written, see above");
    Ok(())
}
