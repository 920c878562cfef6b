//! The need: Linux as a program, for what this machine's own kernel does not allow a process.

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Each program, and Debian's package that it comes with.
const PROGRAMS: [(&str, &str); 2] = [("linux.uml", "user-mode-linux"), ("ip", "iproute2")];

/// Finds them, else installs them, else says what to install.
pub(super) fn ensure() -> Result<()> {
    if are_there() {
        return Ok(());
    }
    eprintln!("No Linux as a program yet.");
    let packages = PROGRAMS.map(|(_, package)| package);
    let by_apt = apt::install(&packages);
    if are_there() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "Linux as a program is missing ({why}). Install it, then run this again:\n  apt-get install {}",
        packages.join(" ")
    )
}

fn are_there() -> bool {
    PROGRAMS
        .iter()
        .all(|(program, _)| process::on_path(program).is_some())
}
