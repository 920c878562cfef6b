//! The compiler for bare-metal targets: rustup's ready-made libraries, or Debian's compiler that
//! builds `core` from source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process;
use crate::project::{self, EMBEDDED_TARGETS};

/// Debian's packages that can compile `core` from source for any target.
pub(crate) const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// The oldest compiler that the workspace accepts (`rust-version` in Cargo.toml).
const OLDEST: (u32, u32) = (1, 95);

/// Set to `rustup` or `debian`, this variable allows one of the two ways only.
pub(crate) const CHOICE: &str = "HUSHWIRE_BARE_METAL";
/// The value for rustup's targets.
pub(crate) const RUSTUP: &str = "rustup";
/// The value for Debian's compiler.
pub(crate) const DEBIAN: &str = "debian";

/// A way to compile for the bare-metal targets that is installed on this machine.
#[derive(Debug)]
pub(crate) enum Embedded {
    /// The everyday toolchain, with each target's `core` added by rustup.
    Rustup,
    /// Debian's compiler and sources; the linker comes from rustup's toolchain or from `lld`.
    Debian {
        /// Debian's compiler, `/usr/bin/rustc`.
        rustc: PathBuf,
        /// Debian's cargo, which must be the one that belongs to the compiler.
        cargo: PathBuf,
        /// An LLVM linker.
        linker: PathBuf,
    },
}

impl Embedded {
    /// What is installed, without installing anything.
    pub(crate) fn find() -> Result<Option<Self>> {
        if wanted(RUSTUP) && missing_rustup_targets()?.is_empty() {
            return Ok(Some(Self::Rustup));
        }
        if !wanted(DEBIAN) {
            return Ok(None);
        }
        let (Some(rustc), Some(linker)) = (debian_rustc(), linker()?) else {
            return Ok(None);
        };
        let cargo = PathBuf::from("/usr/bin/cargo");
        Ok(cargo.is_file().then_some(Self::Debian {
            rustc,
            cargo,
            linker,
        }))
    }

    /// One line for people and reports.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup targets",
            Self::Debian { .. } => "Debian's rustc, core built from source",
        }
    }

    /// What the compiler says of itself.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) fn version(&self) -> Result<String> {
        let rustc = match self {
            Self::Rustup => Path::new("rustc"),
            Self::Debian { rustc, .. } => rustc,
        };
        let mut command = Command::new(rustc);
        command.arg("--version").current_dir(project::root());
        Ok(process::stdout_of(&mut command)?.trim().to_owned())
    }

    /// `cargo VERB --target ...` in `folder`, set up for every target of the list.
    pub(crate) fn cargo(&self, verb: &str, targets: &[&str], folder: &Path) -> Command {
        let mut command = match self {
            Self::Rustup => process::cargo(),
            Self::Debian {
                rustc,
                cargo,
                linker,
            } => {
                let mut command = Command::new(cargo);
                command
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("CARGO")
                    .env_remove("RUSTC_WRAPPER")
                    .env("RUSTC", rustc)
                    // Debian's stable compiler takes `-Z` options only when told so.
                    .env("RUSTC_BOOTSTRAP", "1");
                for target in targets {
                    let name = target.to_uppercase().replace(['-', '.'], "_");
                    command.env(format!("CARGO_TARGET_{name}_LINKER"), linker);
                }
                command
            }
        };
        command.arg(verb).current_dir(folder).stdin(Stdio::null());
        if matches!(self, Self::Debian { .. }) {
            command.arg("-Zbuild-std=core");
        }
        for target in targets {
            command.args(["--target", target]);
        }
        command.env("CARGO_TARGET_DIR", project::embedded_target_dir());
        command
    }
}

/// Whether the environment allows this way.
pub(crate) fn wanted(way: &str) -> bool {
    std::env::var(CHOICE).map_or(true, |choice| choice == way)
}

/// The targets whose `core` the everyday toolchain does not have.
pub(crate) fn missing_rustup_targets() -> Result<Vec<&'static str>> {
    let libraries = sysroot()?.join("lib/rustlib");
    let missing = |target: &&str| !libraries.join(target).join("lib").is_dir();
    Ok(EMBEDDED_TARGETS.into_iter().filter(missing).collect())
}

/// Debian's compiler with its sources, if it is there and new enough.
fn debian_rustc() -> Option<PathBuf> {
    let rustc = PathBuf::from("/usr/bin/rustc");
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/core/Cargo.toml");
    if !rustc.is_file() || !sources.is_file() {
        return None;
    }
    let version = process::stdout_of(Command::new(&rustc).arg("--version")).ok()?;
    (parse_version(&version)? >= OLDEST).then_some(rustc)
}

/// rustup's own LLVM linker, else Debian's.
fn linker() -> Result<Option<PathBuf>> {
    let libraries = sysroot()?.join("lib/rustlib");
    let Ok(entries) = std::fs::read_dir(&libraries) else {
        return Ok(process::on_path("ld.lld"));
    };
    let shipped = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/rust-lld")))
        .find(|file| file.is_file());
    Ok(shipped.or_else(|| process::on_path("ld.lld")))
}

/// The everyday toolchain's folder.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let printed = process::stdout_of(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(project::root()),
    )
    .context("the Rust compiler does not answer; install Rust with rustup")?;
    Ok(PathBuf::from(printed.trim()))
}

/// `rustc 1.96.0 (...)` -> (1, 96).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_rustc_prints() {
        assert_eq!(
            parse_version("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert_eq!(parse_version("rustc 1.97.0-nightly"), Some((1, 97)));
        assert_eq!(parse_version("no such program"), None);
    }
}
