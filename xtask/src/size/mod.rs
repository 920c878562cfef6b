//! `cargo xtask size [--json]`: what the core costs on a chip, and on the wire.

pub(crate) mod elf;
mod limits;
mod measure;
pub(crate) mod panics;
mod print;
mod probe;

use anyhow::Result;

use crate::project::EMBEDDED_TARGETS;
use crate::report::Tally;
use crate::setup;
use measure::Sizes;

pub(crate) use elf::Elf;
pub(crate) use probe::folder as probe_folder;

/// The command.
pub(crate) fn run(json: bool) -> Result<()> {
    let toolchain = setup::embedded()?;
    let sizes = measure_all()?;
    if json {
        println!("{:#}", print::json(&sizes, toolchain.describe()));
    } else {
        print::table(&sizes, toolchain.describe());
    }
    Ok(())
}

/// The limits, each as one check; part of `cargo xtask test`.
pub(crate) fn check(tally: &mut Tally) {
    let mut sizes = Vec::new();
    tally.check("size probe links on every target", || {
        sizes = measure_all()?;
        Ok(String::new())
    });
    // Without a measurement the limits fail too: nothing is skipped in silence.
    for limit in &limits::LIMITS {
        tally.check(limit.name, || limit.holds(&sizes));
    }
}

fn measure_all() -> Result<Vec<Sizes>> {
    probe::build(&setup::embedded()?, &EMBEDDED_TARGETS)?;
    EMBEDDED_TARGETS.into_iter().map(measure::target).collect()
}
