//! `cargo xtask bench device [--json]`: what the core's operations cost on a Cortex-M4.
//!
//! ```text
//!   probe     compiles xtask/device-probe, one image for each profile and backend
//!   emulator  runs an image in QEMU
//!   figures   reads its lines: instructions and peak stack of each operation
//!   aims      what is wanted of some             limits  what none may outgrow, by 2 %
//! ```
//! QEMU counts instructions, not cycles: no flash wait states, no multi-cycle loads. The counts are the
//! same in every run, on every machine.

mod aims;
mod emulator;
mod figures;
mod limits;
mod print;
mod probe;

use std::process::ExitCode;

use anyhow::Result;

use crate::report::Tally;
use crate::setup;
use figures::Figures;

pub(crate) use probe::folder as probe_folder;

/// The command. With `accept` the figures become the limits.
pub(crate) fn run(json: bool, accept: bool) -> Result<()> {
    let toolchain = setup::device()?;
    let all = measure()?;
    if accept {
        limits::write(&all, &toolchain.version()?)?;
    }
    if json {
        println!("{:#}", print::json(&all, &toolchain));
    } else {
        print::tables(&all, &toolchain);
    }
    Ok(())
}

/// The device's part of `cargo xtask test`, alone.
pub(crate) fn check_alone() -> ExitCode {
    let mut tally = Tally::new();
    check(&mut tally);
    tally.close()
}

/// Part of `cargo xtask test`: the vectors on the device, then the limits.
pub(crate) fn check(tally: &mut Tally) {
    tally.check("device probe: the project's versions", probe::same_versions);
    for chip in [&probe::M4, &probe::M33] {
        let name = format!("device: vectors over both backends, {}", chip.name);
        tally.check(&name, || vectors(chip));
    }
    let mut all = Vec::new();
    tally.check("device: every operation runs, twice the same", || {
        all = measure()?;
        Ok(format!(
            "{} figures",
            all.iter().map(Figures::len).sum::<usize>()
        ))
    });
    // Without a measurement the limits fail too: nothing is skipped in silence.
    for image in &probe::IMAGES {
        let name = format!("device: limits, {}, {}", image.profile.name, image.backend);
        tally.check(&name, || {
            limits::hold(image, &all, &setup::device()?.version()?)
        });
    }
}

fn measure() -> Result<Vec<Figures>> {
    probe::build(&setup::device()?)?;
    probe::IMAGES.iter().map(figures::of).collect()
}

/// C1 and C2 where they are meant for. The image ends QEMU with a failure at the first that is wrong.
fn vectors(chip: &probe::Chip) -> Result<String> {
    probe::build_vectors(&setup::device()?, chip)?;
    let name = format!("device-vectors-{}", chip.name);
    let image = probe::vectors_image(chip);
    let text = emulator::run(chip, &image, &name, emulator::Clock::Free)?;
    let mut sum = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("passed") {
            sum += words
                .nth(1)
                .and_then(|count| count.parse().ok())
                .unwrap_or(0);
        }
    }
    anyhow::ensure!(
        sum == VECTORS,
        "{sum} vectors were decided and {VECTORS} are expected; see the log {name}"
    );
    Ok(format!("{sum} decided"))
}

/// Over each backend ECDH 355, ECDSA 262, RFC 6979 2, the frozen transcript 70, `docs/vectors` 14; one
/// beside the other 1,106; AES-GCM 66, HKDF 86, HMAC 174.
const VECTORS: usize = 2 * (355 + 262 + 2 + 70 + 14) + 1106 + 66 + 86 + 174;
