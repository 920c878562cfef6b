//! `cargo xtask c-api`: the core inside C programs, for this machine and for the chips.
//!
//! The programs themselves, and who talks to them, are tests of the package `hushwire-c`. Those that
//! need more than a C compiler are ignored by `cargo test` and run from here, with the tools at hand.

mod library;
mod linked;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};

use crate::process::{self, tail};
use crate::project;
use crate::report::{Counts, Tally};
use crate::setup;
use crate::size::{elf::Elf, panics};
use crate::test::counts;

/// The chip on which the example runs, and whose image is measured.
const CORTEX_M4: &str = "thumbv7em-none-eabihf";

/// Flash of everything that the example links of the library. Raising it is a decision: say why in
/// the commit. A tenth above what is measured, because other compilers lay it out larger.
const MOST_FLASH: u32 = 84 * 1024;

/// Functions of the linked example that could reach the panic handler: all are arithmetic of
/// dependencies whose checks the optimiser could not remove.
const MOST_PANICKING: usize = 20;

/// The command: everything once, with its figures.
pub(crate) fn run() -> Result<()> {
    setup::c_tools()?;
    let toolchain = setup::embedded()?;
    println!("C library for every chip ({})", toolchain.describe());
    library::build(&toolchain)?;
    println!("C programs: CMake, pkg-config, valgrind, QEMU, sanitizers");
    let (counts, outcome) = programs(true)?;
    outcome?;
    println!("  {counts}");
    println!(
        "  flash of the library in the example, Cortex-M4: {}",
        flash()?
    );
    println!(
        "  functions that can reach its panic handler: {}",
        panicking()?
    );
    Ok(())
}

/// The steps, as part of `cargo xtask test`, which runs the sanitizers with all other tests.
pub(crate) fn check(tally: &mut Tally) {
    tally.check("tools for C", || setup::c_tools().map(|()| String::new()));
    tally.check("C library for every chip", || {
        library::build(&setup::embedded()?)?;
        Ok(String::new())
    });
    tally.tests("C programs: CMake, pkg-config, valgrind, QEMU", || {
        programs(false)
    });
    tally.check("flash of the C library, Cortex-M4", flash);
    tally.check("functions of it that can panic", panicking);
}

/// Runs the tests that build and run the example.
fn programs(all: bool) -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    command
        .args([
            "test",
            "--package",
            "hushwire-c",
            "--test",
            "c_program",
            "--",
        ])
        .arg(if all {
            "--include-ignored"
        } else {
            "--ignored"
        })
        .env("HUSHWIRE_C_CHIP_LIBRARY", library::path(CORTEX_M4));
    let logged = process::logged(&mut command, "c-programs")?;
    let counts = counts::of_cargo_test(&logged.text);
    let outcome = if logged.status.success() && counts.passed > 0 {
        Ok(())
    } else {
        let log = logged.log.display();
        Err(anyhow!("whole log in {log}:\n{}", tail(&logged.text, 60)))
    };
    Ok((counts, outcome))
}

/// What the tests made for QEMU.
fn made(file: &str) -> PathBuf {
    project::target_dir().join("tmp/c-api").join(file)
}

fn flash() -> Result<String> {
    let map = made("peer.map");
    let text = std::fs::read_to_string(&map)
        .with_context(|| format!("cannot read {}; did the example link?", map.display()))?;
    let cost = linked::cost(&text, "libhushwire_c.a")?;
    ensure!(cost.ram == 0, "{} bytes of static RAM", cost.ram);
    ensure!(cost.flash > 0, "the map names nothing of the library");
    ensure!(
        cost.flash <= MOST_FLASH,
        "{} bytes, and the limit is {MOST_FLASH}",
        cost.flash
    );
    Ok(format!(
        "{} of {MOST_FLASH} bytes, no static RAM",
        cost.flash
    ))
}

/// The functions of the image that could reach the panic handler, and where the panics are written.
fn panicking() -> Result<String> {
    let image = made("peer.elf");
    let bytes = std::fs::read(&image)
        .with_context(|| format!("cannot read {}; did the example link?", image.display()))?;
    let functions = panics::reaching(&Elf::parse(bytes)?)?;
    ensure!(
        functions.len() <= MOST_PANICKING,
        "{} functions, and the limit is {MOST_PANICKING}: {:?}",
        functions.len(),
        functions.keys()
    );
    let sites = library::panic_sites(&setup::embedded()?, CORTEX_M4)?;
    let (ours, others): (Vec<_>, Vec<_>) =
        sites.iter().partition(|file| file.contains("core-nostd/"));
    ensure!(ours.is_empty(), "our own code can panic: {ours:?}");
    ensure!(
        !others.is_empty(),
        "no site was found, so this looked at nothing"
    );
    Ok(format!(
        "{} of {MOST_PANICKING}, by {} files of dependencies and none of ours",
        functions.len(),
        others.len()
    ))
}
