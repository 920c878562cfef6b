//! Writes an image to the board on the desk, through probe-rs.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Backend, Board, Image, build};
use crate::process;

/// Builds, writes, restarts.
pub(super) fn run(board: Board, backend: Backend) -> Result<()> {
    let Some(chip) = board.chip else {
        bail!(
            "{0} is a board of QEMU's: `cargo xtask firmware run --board {0}`",
            board.name
        );
    };
    ensure!(
        process::on_path("probe-rs").is_some(),
        "probe-rs, which writes to the board, is not installed. Install it, then run this again:\n  \
         cargo install probe-rs-tools --locked\n\
         (it needs libudev-dev and pkg-config; https://probe.rs has ready-made binaries)"
    );
    let image = build(board, Image::App, backend)?;
    // Only the sectors of the image are erased: identity and conversations stay.
    probe(
        Command::new("probe-rs")
            .args(["download", "--chip", chip])
            .arg(&image),
    )?;
    probe(Command::new("probe-rs").args(["reset", "--chip", chip]))?;
    println!(
        "{} runs the new image; its console is a serial port, 115200 8N1.",
        board.name
    );
    Ok(())
}

/// With its own words on the terminal: it knows best what is wrong with a probe.
fn probe(command: &mut Command) -> Result<()> {
    let what = process::shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{what}`"))?;
    ensure!(status.success(), "`{what}` failed, see above");
    Ok(())
}
