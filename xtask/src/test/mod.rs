//! `cargo xtask test`: everything that must pass, set-up included.
//!
//! Cheap steps come first. What compiles is chosen for two slow cores: clippy and the documents
//! share one check of the dependencies, tests and doctests share one build, and nothing is built
//! in release here but the probes that measure the core's size and what it costs on a device.

pub(crate) mod counts;
mod dependencies;
mod device;
mod lints;
pub(crate) mod runner;
mod sources;

use std::process::ExitCode;

use crate::report::Tally;
use crate::{bench, build_core, c_api, setup, size};

/// The command.
pub(crate) fn run() -> ExitCode {
    let mut tally = Tally::new();
    tally.check("set-up", || Ok(setup::embedded()?.describe().to_owned()));
    tally.check("format", lints::format);
    sources::check(&mut tally);
    dependencies::check(&mut tally);
    lints::check(&mut tally);
    tally.tests("tests", runner::tests);
    tally.tests("documentation's examples", runner::doctests);
    for (name, flags) in build_core::FEATURE_SETS {
        tally.check(&format!("bare metal, {name}"), || {
            build_core::build(&setup::embedded()?, flags)?;
            Ok(String::new())
        });
    }
    size::check(&mut tally);
    chips(&mut tally);
    tally.close()
}

/// `cargo xtask trial`: the part of [`run`] that needs QEMU and a compiler for C, alone.
pub(crate) fn trial() -> ExitCode {
    let mut tally = Tally::new();
    chips(&mut tally);
    tally.close()
}

fn chips(tally: &mut Tally) {
    c_api::check(tally);
    bench::device::check(tally);
    device::check(tally);
}
