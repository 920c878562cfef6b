//! `cargo xtask setup`: finds or installs what the other commands need.
//!
//! Each need is one file with one function: look first (quick, changes nothing), then install,
//! else say exactly what a person has to install. Nothing is ever skipped. What is done is told on
//! standard error, because other commands print figures for programs.

mod apt;
mod device;
mod embedded;

use anyhow::Result;

use crate::toolchain::Embedded;

/// The command: every need, in order.
pub(crate) fn run() -> Result<()> {
    let toolchain = device()?;
    println!("bare-metal compiler: {}", toolchain.describe());
    println!("Everything that the commands need is here.");
    Ok(())
}

/// A compiler for the bare-metal targets, installed now if it was missing.
pub(crate) fn embedded() -> Result<Embedded> {
    embedded::ensure()
}

/// The compiler, and what an emulated device needs besides, installed now if it was missing.
pub(crate) fn device() -> Result<Embedded> {
    device::ensure()?;
    embedded()
}
