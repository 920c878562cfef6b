//! `cargo xtask size [--json]`: what the core costs on a chip, and on the wire; and whole images.

pub(crate) mod elf;
mod limits;
mod measure;
pub(crate) mod panics;
mod parts;
mod print;
mod probe;

use anyhow::Result;

use crate::firmware;
use crate::project::EMBEDDED_TARGETS;
use crate::report::Tally;
use crate::setup;
use crate::toolchain::Embedded;
use measure::Sizes;

pub(crate) use elf::Elf;
pub(crate) use limits::{OTHER_COMPILER, TOLERANCE};
pub(crate) use probe::folder as probe_folder;

/// The command.
pub(crate) fn run(json: bool) -> Result<()> {
    let toolchain = setup::embedded()?;
    let (sizes, images) = (measure_all()?, firmware::footprints()?);
    if json {
        println!("{:#}", print::json(&sizes, &images, toolchain.describe()));
    } else {
        print::table(&sizes, toolchain.describe());
        print::firmware(&images);
    }
    Ok(())
}

/// The command with `--parts`.
pub(crate) fn parts(board: firmware::Board) -> Result<()> {
    parts::run(board)
}

/// The limits, each as one check; part of `cargo xtask test`.
pub(crate) fn check(tally: &mut Tally) {
    let (mut sizes, mut ours) = (Vec::new(), true);
    tally.check("size probe links on every target", || {
        ours = matches!(setup::embedded()?, Embedded::Rustup);
        sizes = measure_all()?;
        Ok(String::new())
    });
    // Without a measurement the limits fail too: nothing is skipped in silence.
    for limit in &limits::LIMITS {
        tally.check(limit.name, || limit.holds(&sizes, ours));
    }
}

fn measure_all() -> Result<Vec<Sizes>> {
    probe::build(&setup::embedded()?, &EMBEDDED_TARGETS)?;
    EMBEDDED_TARGETS.into_iter().map(measure::target).collect()
}
