//! The crates of the build: cargo fetches them here, in this machine's way, whatever that is. The
//! build finds them where it finds any setting of cargo's, in a folder `.cargo` above its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;

/// Settings that lead cargo to them, in the container.
const CONFIG: &str = "\
[source.crates-io]
replace-with = \"vendored\"

[source.vendored]
directory = \"/.cargo/vendor\"
";

/// Fetches them all into a folder that is mounted as `/.cargo`.
pub(super) fn vendored(folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("cargo");
    let mut command = process::cargo();
    command
        .args(["vendor", "--locked", "--versioned-dirs"])
        .arg(folder.join("vendor"));
    process::logged(&mut command, "cargo-vendor")?.must_succeed("cargo vendor")?;
    std::fs::write(folder.join("config.toml"), CONFIG)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    Ok(folder)
}
