//! The base images: pulled, and where no registry is reached stand-ins under their names.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::podman::Podman;
use super::step;
use crate::{process, project, setup, toolchain};

/// What the image runs on.
const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";
/// What it is built on, which is the same with Rust and a C compiler.
const RUST: &str = "docker.io/library/rust:1.95-slim-bookworm";
/// The release of both.
const RELEASE: &str = "bookworm";
/// The stand-in for [`RUST`], below the project's root.
const RUST_STAND_IN: &str = "xtask/src/container/rust-stand-in.Containerfile";
/// The label of a stand-in.
const LABEL: &str = "hushwire.stand-in";

/// Makes sure of both; names those that are stand-ins.
pub(super) fn ensure(podman: &Podman, folder: &Path) -> Result<Vec<&'static str>> {
    let mut stand_ins = Vec::new();
    for name in [DEBIAN, RUST] {
        match step(name, || find(podman, name))? {
            Found::Image => continue,
            Found::StandIn => {}
            Found::Nothing => step("  a stand-in for it", || match name {
                DEBIAN => debian(podman, folder),
                _ => rust(podman),
            })?,
        }
        stand_ins.push(name);
    }
    Ok(stand_ins)
}

/// What there is under a name.
enum Found {
    Image,
    StandIn,
    Nothing,
}

/// Pulls an image; else the one of another time is good enough.
fn find(podman: &Podman, name: &str) -> Result<(Found, String)> {
    let pulled = podman.ask(&["pull", "--quiet", name]);
    let Err(error) = pulled else {
        return Ok((Found::Image, "pulled".to_owned()));
    };
    let label = format!("--format={{{{index .Labels \"{LABEL}\"}}}}");
    let label = podman.ask(&["image", "inspect", &label, name]);
    Ok(match label.as_deref() {
        Ok("") => (Found::Image, "pulled at another time".to_owned()),
        Ok(made_of) => (Found::StandIn, format!("a stand-in: {made_of}")),
        Err(_) => (
            Found::Nothing,
            format!("not reached: {}", last_line(&error)),
        ),
    })
}

/// Debian's essential packages and apt, unpacked by mmdebstrap. The note says so.
fn debian(podman: &Podman, folder: &Path) -> Result<((), String)> {
    setup::bootstrap()?;
    let archive = folder.join("debian.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", RELEASE]).arg(&archive);
    process::logged(&mut command, "mmdebstrap")?.must_succeed("mmdebstrap")?;
    let made_of = "Debian's packages, by mmdebstrap".to_owned();
    let label = format!("--change=LABEL {LABEL}=\"{made_of}\"");
    process::stdout_of(
        podman
            .command(&["import", "--quiet", &label])
            .arg(&archive)
            .arg(DEBIAN),
    )?;
    std::fs::remove_file(&archive).context("cannot remove mmdebstrap's archive")?;
    Ok(((), made_of))
}

/// The same, a C compiler, and the Rust of this machine. The note says so.
fn rust(podman: &Podman) -> Result<((), String)> {
    let toolchain = toolchain::sysroot()?;
    ensure!(
        toolchain != Path::new("/usr"),
        "the stand-in for {RUST} is made of rustup's toolchain, and this machine's is the system's"
    );
    let mut version = Command::new("rustc");
    let version = process::stdout_of(version.arg("--version").current_dir(project::root()))?;
    let made_of = format!("Debian, gcc, and this machine's {}", version.trim());
    let label = format!("--label={LABEL}={made_of}");
    let words = ["--network=host", &label];
    podman.build(&words, Path::new(RUST_STAND_IN), RUST, &toolchain)?;
    Ok(((), made_of))
}

/// Podman ends with its reason.
fn last_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let line = text.trim_end().lines().last().unwrap_or_default();
    line.rsplit(": ").next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_are_the_images_that_the_files_are_built_from() {
        let from = |file: &str| -> Vec<String> {
            let text = std::fs::read_to_string(project::root().join(file)).expect("a file");
            let lines = text.lines().filter_map(|line| line.strip_prefix("FROM "));
            let names = lines.filter_map(|line| line.split(' ').next());
            names.map(str::to_owned).collect()
        };
        assert_eq!(from(super::super::CONTAINERFILE), [RUST, DEBIAN]);
        assert_eq!(from(RUST_STAND_IN), [DEBIAN]);
    }

    #[test]
    fn the_reason_is_the_end_of_what_podman_says() {
        let error = anyhow::anyhow!(
            "`podman pull x` failed:\nTrying x...\nError: pull: dial tcp: no such host\n"
        );
        assert_eq!(last_line(&error), "no such host");
    }
}
