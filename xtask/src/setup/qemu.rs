//! The need: QEMU with Arm's boards.

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Program and Debian's package.
const QEMU: &str = "qemu-system-arm";

/// Finds it, else installs it, else says what to install.
pub(super) fn ensure() -> Result<()> {
    if process::on_path(QEMU).is_some() {
        return Ok(());
    }
    eprintln!("No QEMU with Arm's boards yet.");
    let by_apt = apt::install(&[QEMU]);
    if process::on_path(QEMU).is_some() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "{QEMU} is missing ({why}). Install it, then run this again:\n  apt-get install {QEMU}\n  \
         brew install qemu"
    )
}
