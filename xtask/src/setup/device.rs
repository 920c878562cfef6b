//! The need: an emulated Cortex-M4, and the C compiler for the curve's assembly.

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process;

/// Programs, and Debian's packages that have them. The C library's headers come with neither.
const PROGRAMS: [(&str, &[&str]); 2] = [
    ("qemu-system-arm", &["qemu-system-arm"]),
    (
        "arm-none-eabi-gcc",
        &["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"],
    ),
];

/// Finds the programs, else installs them, else says what to install.
pub(super) fn ensure() -> Result<()> {
    for (program, packages) in PROGRAMS {
        if process::on_path(program).is_some() {
            continue;
        }
        eprintln!("No {program} yet.");
        apt::install(packages).with_context(|| {
            format!(
                "{program} is missing; Debian has it as {}",
                packages.join(" and ")
            )
        })?;
        if process::on_path(program).is_none() {
            bail!("{program} is not there although it was installed");
        }
    }
    Ok(())
}
