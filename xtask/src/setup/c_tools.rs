//! The need: what builds and runs the C library's example, on this machine and on a chip in QEMU.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Programs with the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 6] = [
    ("cc", "gcc"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    ("qemu-system-arm", "qemu-system-arm"),
    ("valgrind", "valgrind"),
    ("cmake", "cmake"),
    ("pkg-config", "pkg-config"),
];

/// newlib with its semihosting, which no program of its own shows.
const NEWLIB: (&str, &str) = ("rdimon.specs", "libnewlib-arm-none-eabi");

/// Finds the tools, else installs them, else says what to install.
pub(super) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Tools for C are missing: {}", missing.join(" "));
    let by_apt = apt::install(&missing);
    let missing = self::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "tools for C are missing ({why}). Install them, then run this again:\n  \
         apt-get install {}",
        missing.join(" ")
    )
}

/// The packages whose tools are not there.
fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| process::on_path(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if !has_newlib() {
        packages.push(NEWLIB.1);
    }
    packages
}

/// The compiler prints a path for a file that it has, and the bare name for one that it has not.
fn has_newlib() -> bool {
    let mut ask = Command::new("arm-none-eabi-gcc");
    ask.arg(format!("-print-file-name={}", NEWLIB.0));
    process::stdout_of(&mut ask).is_ok_and(|found| Path::new(found.trim()).is_absolute())
}
