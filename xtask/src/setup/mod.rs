//! `cargo xtask setup`: finds or installs what the other commands need.
//!
//! Each need is one file with one function: look first (quick, changes nothing), then install,
//! else say exactly what a person has to install. Nothing is ever skipped. What is done is told on
//! standard error, because other commands print figures for programs.

mod apt;
mod arm_gcc;
mod c_tools;
mod containers;
mod embedded;
mod nats;
mod operators;
mod own_kernel;
mod peers;

mod qemu;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::toolchain::Embedded;

/// The command: every need, in order.
pub(crate) fn run() -> Result<()> {
    let toolchain = embedded()?;
    println!("bare-metal compiler: {}", toolchain.describe());
    qemu()?;
    println!("QEMU: found");
    c_tools()?;
    println!("tools for C: found");
    arm_gcc::ensure()?;
    println!("C compiler for Arm's chips: found");
    nats()?;
    println!("NATS server: found");
    operators()?;
    println!("checkers of alert rules and units: found");
    println!("Everything that the commands need is here.");
    Ok(())
}

/// A compiler for the bare-metal targets, installed now if it was missing.
pub(crate) fn embedded() -> Result<Embedded> {
    embedded::ensure()
}

/// The compiler with a C compiler beside it: P-256 in assembly comes with a part in C.
pub(crate) fn embedded_with_c() -> Result<Embedded> {
    arm_gcc::ensure()?;
    embedded()
}

/// The same and QEMU: for images that measure themselves.
pub(crate) fn device() -> Result<Embedded> {
    qemu()?;
    embedded_with_c()
}

/// QEMU with Arm's boards, installed now if it was missing.
pub(crate) fn qemu() -> Result<()> {
    qemu::ensure()
}

/// What builds and runs C programs here and in QEMU, installed now if it was missing.
pub(crate) fn c_tools() -> Result<()> {
    c_tools::ensure()
}

/// NATS's server, installed now if it was missing.
pub(crate) fn nats() -> Result<()> {
    nats::ensure()
}

/// What checks the files for operators, installed now if it was missing.
pub(crate) fn operators() -> Result<()> {
    operators::ensure()
}

/// What builds and runs containers, installed now if it was missing. Only `container` needs it, so
/// the command `setup` does not bring it.
pub(crate) fn containers() -> Result<()> {
    containers::engine()
}

/// What makes a small Debian from its packages; only `container` needs it, and not everywhere.
pub(crate) fn bootstrap() -> Result<()> {
    containers::bootstrap()
}

/// The servers that the relay is measured beside, installed now if they were missing. Only their
/// bench needs them, so the command `setup` does not bring them.
pub(crate) fn peers() -> Result<()> {
    peers::ensure()
}

/// Linux as a program, installed now if it was missing. Only a bench needs it, and not everywhere.
pub(crate) fn own_kernel() -> Result<()> {
    own_kernel::ensure()
}

/// The program of such a server.
pub(crate) fn peer(name: &str) -> Result<PathBuf> {
    peers::program(name).with_context(|| format!("{name} is missing"))
}
