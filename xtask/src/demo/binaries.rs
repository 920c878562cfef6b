//! The programs that the demo runs, built in release with cargo's own progress on the terminal.

use anyhow::{Result, ensure};
use hushwire_lab::Binaries;

use crate::{process, project};

/// Compiles both.
pub(crate) fn build() -> Result<Binaries> {
    println!("Building the relay and the client (minutes the first time, nothing later).");
    let mut command = process::cargo();
    command.args(["build", "--release", "--bins"]);
    command.args(["--package", "hushwire-relay", "--package", "hushwire"]);
    ensure!(
        command.status()?.success(),
        "the programs do not build, see above"
    );
    let folder = project::target_dir().join("release");
    let binary = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    Ok(Binaries {
        relay: binary("hushwire-relay"),
        client: binary("hushwire"),
    })
}
