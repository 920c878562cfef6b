//! The need: a compiler for the bare-metal targets.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::apt;
use crate::process;
use crate::project::EMBEDDED_TARGETS;
use crate::toolchain::{self, CHOICE, DEBIAN, DEBIAN_PACKAGES, Embedded, RUSTUP};

/// How long the first target may take. Where rustup's server cannot be reached its client tries
/// again for minutes, so the limit is short; a download that goes on is resumed the next time.
const FIRST_TARGET: Duration = Duration::from_secs(40);

/// How long each further target may take once the server has answered.
const NEXT_TARGET: Duration = Duration::from_secs(600);

/// Finds the compiler, else installs it, else says what to install.
pub(super) fn ensure() -> Result<Embedded> {
    if let Some(found) = Embedded::find()? {
        return Ok(found);
    }
    eprintln!("No compiler for the bare-metal targets yet.");
    let by_rustup = add_rustup_targets()?;
    if let Some(found) = Embedded::find()? {
        return Ok(found);
    }
    let by_apt = add_debian_packages();
    if let Some(found) = Embedded::find()? {
        return Ok(found);
    }
    let targets = EMBEDDED_TARGETS.join(" ");
    let packages = DEBIAN_PACKAGES.join(" ");
    bail!(
        "no compiler for the bare-metal targets.\n  rustup: {by_rustup}\n  Debian: {}\n\
         Install one of the two, then run this again:\n  rustup target add {targets}\n  \
         apt-get install {packages} lld",
        by_apt
            .err()
            .unwrap_or_else(|| anyhow!("installed, but its compiler is too old")),
    )
}

/// Adds the targets through rustup; says in a sentence how that went.
fn add_rustup_targets() -> Result<String> {
    if !toolchain::wanted(RUSTUP) {
        return Ok(format!("{CHOICE} rules it out"));
    }
    if process::on_path("rustup").is_none() {
        return Ok("rustup is not installed".into());
    }
    let mut limit = FIRST_TARGET;
    for target in toolchain::missing_rustup_targets()? {
        eprintln!(
            "  rustup target add {target} (at most {} s)",
            limit.as_secs()
        );
        let mut command = Command::new("rustup");
        match process::within(command.args(["target", "add", target]), limit)? {
            Some(status) if status.success() => limit = NEXT_TARGET,
            Some(_) => return Ok(format!("`rustup target add {target}` failed")),
            None => return Ok(format!("no answer within {} s", limit.as_secs())),
        }
    }
    Ok("every target is added".into())
}

/// Adds Debian's compiler and sources, and its linker if no other is there.
fn add_debian_packages() -> Result<()> {
    if !toolchain::wanted(DEBIAN) {
        bail!("{CHOICE} rules it out");
    }
    apt::install(&DEBIAN_PACKAGES)?;
    if Embedded::find()?.is_none() {
        apt::install(&["lld"])?;
    }
    Ok(())
}
