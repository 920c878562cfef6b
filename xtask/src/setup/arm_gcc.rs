//! The need: a C compiler for Arm's chips. P-256 in assembly comes with a part in C.

use anyhow::{Result, bail};

use super::apt;
use crate::process;

const COMPILER: &str = "arm-none-eabi-gcc";

/// Debian's packages: the compiler, and the C library whose headers it wants.
const PACKAGES: [&str; 2] = ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"];

/// Finds it, else installs it, else says what to install.
pub(super) fn ensure() -> Result<()> {
    if process::on_path(COMPILER).is_some() {
        return Ok(());
    }
    eprintln!("No C compiler for Arm's chips yet.");
    let by_apt = apt::install(&PACKAGES);
    if process::on_path(COMPILER).is_some() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "{COMPILER} is missing ({why}). Install it, then run this again:\n  apt-get install {}\n  \
         brew install --cask gcc-arm-embedded",
        PACKAGES.join(" ")
    )
}
