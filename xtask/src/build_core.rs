//! `cargo xtask build-core`: the core for every bare-metal target.

use std::time::Instant;

use anyhow::Result;

use crate::project::{self, EMBEDDED_TARGETS};
use crate::toolchain::Embedded;
use crate::{process, setup};

/// The feature sets that ship: everything, and what the relay uses.
pub(crate) const FEATURE_SETS: [(&str, &[&str]); 2] = [
    ("with end-to-end encryption", &[]),
    ("link and wire only", &["--no-default-features"]),
];

/// The command.
pub(crate) fn run() -> Result<()> {
    let toolchain = setup::embedded()?;
    println!("bare-metal compiler: {}", toolchain.describe());
    for (name, flags) in FEATURE_SETS {
        let started = Instant::now();
        build(&toolchain, flags)?;
        println!(
            "hushwire-core, {name}: {:.1} s",
            started.elapsed().as_secs_f32()
        );
        for target in EMBEDDED_TARGETS {
            println!("  {target}");
        }
    }
    Ok(())
}

/// Compiles one feature set for all targets at once.
pub(crate) fn build(toolchain: &Embedded, flags: &[&str]) -> Result<()> {
    let mut command = toolchain.cargo("build", &EMBEDDED_TARGETS, &project::root());
    command
        .args(["--package", "hushwire-core", "--lib"])
        .args(flags);
    let what = process::shown(&command);
    process::logged(&mut command, "build-core")?.must_succeed(&what)?;
    Ok(())
}
