//! The need: what builds and runs containers, and what makes a Debian where no registry is reached.

use anyhow::{Result, bail};

use super::{apt, peers};

/// Builds and runs containers. runc, because crun refuses machines with hybrid cgroups.
const ENGINE: [&str; 2] = ["podman", "runc"];
/// Makes a small Debian from its packages.
const BOOTSTRAP: [&str; 1] = ["mmdebstrap"];

/// Finds or installs the engine, else says what to install.
pub(super) fn engine() -> Result<()> {
    ensure(&ENGINE)
}

/// The same for what makes a small Debian.
pub(super) fn bootstrap() -> Result<()> {
    ensure(&BOOTSTRAP)
}

/// Programs that Debian's packages are named after.
fn ensure(programs: &[&str]) -> Result<()> {
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    eprintln!("Missing for containers: {packages}");
    let by_apt = apt::install(&missing);
    if self::missing(programs).is_empty() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "missing for containers: {packages} ({why}). Install it, then run this again:\n  \
         apt-get install {packages}"
    )
}

fn missing<'a>(programs: &[&'a str]) -> Vec<&'a str> {
    let mut programs = programs.to_vec();
    programs.retain(|program| peers::program(program).is_none());
    programs
}
