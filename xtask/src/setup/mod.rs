//! `cargo xtask setup`: finds or installs what the other commands need.
//!
//! Each need is looked for first (quick, changes nothing), then installed, else named exactly for a person to
//! install. Nothing is ever skipped. What is done is told on standard error, because other commands
//! print figures for programs.

mod apt;
mod embedded;
mod nats_of_today;
mod need;
mod needs;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::toolchain::Embedded;

/// The command: every need, in order.
pub(crate) fn run() -> Result<()> {
    let toolchain = embedded()?;
    println!("bare-metal compiler: {}", toolchain.describe());
    c_tools()?;
    println!("QEMU, tools for C: found");
    relay_tests()?;
    println!("NATS servers, Linux as a program, checkers of alert rules and units: found");
    println!("Everything that the commands need is here.");
    Ok(())
}

/// A compiler for the bare-metal targets, installed now if it was missing.
pub(crate) fn embedded() -> Result<Embedded> {
    embedded::ensure()
}

/// The compiler with a C compiler beside it: P-256 in assembly comes with a part in C.
pub(crate) fn embedded_with_c() -> Result<Embedded> {
    needs::ARM_GCC.ensure()?;
    embedded()
}

/// The same and QEMU: for images that measure themselves.
pub(crate) fn device() -> Result<Embedded> {
    qemu()?;
    embedded_with_c()
}

/// QEMU with Arm's boards, installed now if it was missing.
pub(crate) fn qemu() -> Result<()> {
    needs::QEMU.ensure()
}

/// What builds and runs the C library's example, here and on a chip in QEMU, installed now if it was missing.
pub(crate) fn c_tools() -> Result<()> {
    qemu()?;
    needs::ARM_GCC.ensure()?;
    needs::C_TOOLS.ensure()
}

/// NATS's server as Debian has it, installed now if it was missing.
pub(crate) fn nats() -> Result<()> {
    needs::NATS.ensure()
}

/// What the relay's tests need beyond a compiler, installed now if it was missing. An error names all that cannot be
/// had.
pub(crate) fn relay_tests() -> Result<()> {
    let mut needs = vec![nats(), needs::OPERATORS.ensure()];
    // Machines whose power is cut. Linux as a program is for these processors only, and so are the tests.
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        needs.push(needs::FILE_SYSTEMS.ensure());
        needs.push(own_kernel());
    }
    needs.push(nats_of_today::ensure());
    let missing = needs.into_iter().filter_map(Result::err);
    let missing: Vec<_> = missing.map(|error| format!("{error:#}")).collect();
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

/// What builds and runs containers, installed now if it was missing. Only `container` needs it, so
/// the command `setup` does not bring it.
pub(crate) fn containers() -> Result<()> {
    needs::CONTAINERS.ensure()
}

/// What makes a small Debian from its packages; only `container` needs it, and not everywhere.
pub(crate) fn bootstrap() -> Result<()> {
    needs::BOOTSTRAP.ensure()
}

/// The servers that the relay is measured beside, installed now if they were missing. Only their
/// bench needs them, so the command `setup` does not bring them.
pub(crate) fn peers() -> Result<()> {
    needs::PEERS.ensure()
}

/// Linux as a program, installed now if it was missing: for a bench, and for machines whose power is cut.
pub(crate) fn own_kernel() -> Result<()> {
    needs::OWN_KERNEL.ensure()
}

/// The program of such a server.
pub(crate) fn peer(name: &str) -> Result<PathBuf> {
    need::path_of(name).with_context(|| format!("{name} is missing"))
}
