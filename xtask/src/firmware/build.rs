//! Compiles an image, and tells what it takes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{Board, Footprint};
use crate::{process, project, setup};

/// Who computes on the curve P-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Rust that runs on every chip.
    #[default]
    Portable,
    /// Assembly for Cortex-M4 and Cortex-M33.
    Assembly,
}

/// What is built for a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// The device.
    App,
    /// The trial of a board's parts.
    Check,
}

impl Image {
    const fn name(self) -> &'static str {
        match self {
            Self::App => "hushwire-firmware",
            Self::Check => "board-check",
        }
    }
}

/// The firmware's own workspace.
pub(crate) fn folder() -> PathBuf {
    project::root().join("firmware-example")
}

/// Compiles an image in release, and returns its place, where another board's does not overwrite it.
pub(crate) fn build(board: Board, image: Image, backend: Backend) -> Result<PathBuf> {
    let toolchain = match backend {
        Backend::Portable => setup::embedded()?,
        Backend::Assembly => setup::embedded_with_c()?,
    };
    let mut features = board.name.to_owned();
    if backend == Backend::Assembly {
        features.push_str(",assembly");
    }
    let mut command = toolchain.cargo("build", &[board.target], &folder());
    command
        .args(["--release", "--locked", "--bin", image.name()])
        .args(["--features", &features])
        // They would replace the flags of the firmware's own configuration.
        .env_remove("RUSTFLAGS");
    eprintln!("  {}", process::shown(&command));
    let what = format!("the image of {}", board.name);
    process::logged(&mut command, &format!("{}-{}", image.name(), board.name))?
        .must_succeed(&what)?;
    let built = project::embedded_target_dir()
        .join(board.target)
        .join("release")
        .join(image.name());
    let kept = project::target_dir().join("firmware");
    std::fs::create_dir_all(&kept)
        .with_context(|| format!("cannot make the folder {}", kept.display()))?;
    let suffix = match backend {
        Backend::Portable => "",
        Backend::Assembly => "-assembly",
    };
    let kept = kept.join(format!("{}-{}{suffix}.elf", image.name(), board.name));
    std::fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(kept)
}

/// Tells where the image is and what it takes.
pub(super) fn tell(image: &Path) -> Result<()> {
    let Footprint { flash, ram, stack } = Footprint::of(image)?;
    println!("{}", image.display());
    println!("flash {flash} bytes, static RAM {ram} bytes, stack {stack} bytes");
    Ok(())
}
