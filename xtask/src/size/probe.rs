//! Builds the probe images and reads them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::elf::Elf;
use crate::toolchain::Embedded;
use crate::{process, project};

/// The linker section with the numbers that no device would carry.
pub(super) const FACTS: &str = ".facts";

/// How the images are compiled and linked: RustCrypto's compact variants of SHA-256 and AES, as
/// firmware that looks at its flash would, equal functions folded into one, our linker script, and
/// relocations kept.
const FLAGS: &str = "--cfg sha2_backend_soft=\"compact\" --cfg aes_backend_soft=\"compact\" \
                     -Clink-arg=-Tlink.x -Clink-arg=--emit-relocs";

/// The probe's own workspace.
pub(crate) fn folder() -> PathBuf {
    project::root().join("xtask/size-probe")
}

/// Compiles every probe image for the targets.
pub(super) fn build(toolchain: &Embedded, targets: &[&str]) -> Result<()> {
    // The same versions as the project's: cargo drops from the copy what the probe does not use.
    std::fs::copy(
        project::root().join("Cargo.lock"),
        folder().join("Cargo.lock"),
    )
    .context("cannot copy Cargo.lock to the size probe")?;
    let mut command = toolchain.cargo("build", targets, &folder());
    command
        .args(["--release", "--bins"])
        .env_remove("RUSTFLAGS");
    for target in targets {
        let name = target.to_uppercase().replace(['-', '.'], "_");
        command.env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), FLAGS);
    }
    let what = process::shown(&command);
    process::logged(&mut command, "size-probe")?.must_succeed(&what)?;
    Ok(())
}

/// Reads one image.
pub(super) fn image(target: &str, name: &str) -> Result<Elf> {
    let path = project::embedded_target_dir()
        .join(target)
        .join("release")
        .join(name);
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Elf::parse(bytes).with_context(|| format!("cannot understand {}", path.display()))
}
