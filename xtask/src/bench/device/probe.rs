//! Compiles the probe's images.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::toolchain::Embedded;
use crate::{process, project};

/// A chip that QEMU has, with its board there.
pub(super) struct Chip {
    pub(super) name: &'static str,
    target: &'static str,
    pub(super) machine: &'static str,
    pub(super) cpu: &'static str,
}

/// Where everything is counted.
pub(super) const M4: Chip = Chip {
    name: "Cortex-M4",
    target: "thumbv7em-none-eabihf",
    machine: "mps2-an386",
    cpu: "cortex-m4",
};

/// The other chip that the assembly is for.
pub(super) const M33: Chip = Chip {
    name: "Cortex-M33",
    target: "thumbv8m.main-none-eabihf",
    machine: "mps2-an505",
    cpu: "cortex-m33",
};

/// How an image is compiled.
pub(super) struct Profile {
    pub(super) name: &'static str,
    /// For the tables.
    pub(super) holds: &'static str,
    cargo: &'static str,
    flags: &'static str,
}

/// What the aims speak of.
pub(super) const SPEED: Profile = Profile {
    name: "speed",
    holds: "opt-level 3",
    cargo: "release",
    flags: "",
};

/// As `cargo xtask size` measures flash.
pub(super) const SIZE: Profile = Profile {
    name: "size",
    holds: "opt-level \"s\", compact SHA-256 and AES",
    cargo: "small",
    flags: "--cfg sha2_backend_soft=\"compact\" --cfg aes_backend_soft=\"compact\"",
};

/// One image to run.
pub(super) struct Image {
    pub(super) profile: &'static Profile,
    pub(super) backend: &'static str,
}

pub(super) const PORTABLE: &str = "portable";
pub(super) const ASSEMBLY: &str = "assembly";

pub(super) const IMAGES: [Image; 4] = [
    Image {
        profile: &SPEED,
        backend: PORTABLE,
    },
    Image {
        profile: &SPEED,
        backend: ASSEMBLY,
    },
    Image {
        profile: &SIZE,
        backend: PORTABLE,
    },
    Image {
        profile: &SIZE,
        backend: ASSEMBLY,
    },
];

impl Image {
    pub(super) fn path(&self) -> PathBuf {
        built(&M4, self.profile, self.backend)
    }
}

/// The probe's own workspace.
pub(crate) fn folder() -> PathBuf {
    project::root().join("xtask/device-probe")
}

pub(super) fn vectors_image(chip: &Chip) -> PathBuf {
    built(chip, &SPEED, "device-vectors")
}

fn built(chip: &Chip, profile: &Profile, name: &str) -> PathBuf {
    project::embedded_target_dir()
        .join(chip.target)
        .join(profile.cargo)
        .join(name)
}

/// Compiles what is measured.
pub(super) fn build(toolchain: &Embedded) -> Result<()> {
    compile(toolchain, &M4, &SPEED, "device-probe")?;
    compile(toolchain, &M4, &SIZE, "device-probe")
}

/// Compiles what decides vectors.
pub(super) fn build_vectors(toolchain: &Embedded, chip: &Chip) -> Result<()> {
    compile(toolchain, chip, &SPEED, "device-vectors")
}

fn compile(toolchain: &Embedded, chip: &Chip, profile: &Profile, package: &str) -> Result<()> {
    let mut command = toolchain.cargo("build", &[chip.target], &folder());
    let name = chip.target.to_uppercase().replace(['-', '.'], "_");
    command
        .args(["--profile", profile.cargo, "--package", package, "--bins"])
        .env_remove("RUSTFLAGS")
        .env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), profile.flags);
    let what = process::shown(&command);
    process::logged(&mut command, package)?.must_succeed(&what)?;
    Ok(())
}

/// The probe has a Cargo.lock of its own, for it needs crates that the project does not. What both could
/// share must have one version, else the figures would be of other code than what is shipped.
pub(super) fn same_versions() -> Result<String> {
    let read = |folder: PathBuf| {
        let path = folder.join("Cargo.lock");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (ours, theirs) = (read(project::root())?, read(folder())?);
    let (ours, theirs) = (packages(&ours), packages(&theirs));
    let strange: Vec<_> = theirs
        .difference(&ours)
        .filter(|(name, version)| {
            let same_line =
                |(known, other): &&(&str, &str)| known == name && line(other) == line(version);
            ours.iter().any(|package| same_line(&package))
        })
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    ensure!(
        strange.is_empty(),
        "the device probe has {}; use `cargo update --precise` in {}",
        strange.join(", "),
        folder().display()
    );
    Ok(format!("{} packages", theirs.len()))
}

/// What of a version must be equal for one to stand for the other: `1` of 1.2.3, `0.2` of 0.2.3.
fn line(version: &str) -> &str {
    let mut dots = version.match_indices('.').map(|(at, _)| at);
    let end = if version.starts_with("0.") {
        dots.nth(1)
    } else {
        dots.next()
    };
    end.map_or(version, |end| &version[..end])
}

/// Names and versions in a lock file, where the one line follows the other.
fn packages(lock: &str) -> BTreeSet<(&str, &str)> {
    fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
        line.strip_prefix(key)?.strip_suffix('"')
    }
    lock.lines()
        .zip(lock.lines().skip(1))
        .filter_map(|(first, second)| {
            Some((quoted(first, "name = \"")?, quoted(second, "version = \"")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_files_are_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"aes\"\nversion = \"0.9.4\"\nsource = \"x\"\n\
                    \n[[package]]\nname = \"aes\"\nversion = \"0.8.4\"\n";
        let all: Vec<_> = packages(lock).into_iter().collect();
        assert_eq!(all, [("aes", "0.8.4"), ("aes", "0.9.4")]);
        assert_eq!(
            (line("0.9.4"), line("1.22.3"), line("1")),
            ("0.9", "1", "1")
        );
    }
}
