//! Runs an image in QEMU until it ends itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::probe::Chip;
use crate::process;

/// How QEMU's time passes.
pub(super) enum Clock {
    /// One nanosecond with each instruction: what is counted is the same in every run.
    Counted,
    /// As fast as it goes.
    Free,
}

/// A run takes seconds. On a machine that is busy with other work it may take long, but not for ever.
const LIMIT: Duration = Duration::from_secs(600);

/// What the image printed. It must end QEMU with success.
pub(super) fn run(chip: &Chip, image: &Path, name: &str, clock: Clock) -> Result<String> {
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", chip.machine, "-cpu", chip.cpu]);
    command.args(["-display", "none", "-serial", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native"]);
    if let Clock::Counted = clock {
        command.args(["-icount", "shift=0"]);
    }
    command.arg("-kernel").arg(image);
    process::logged_within(&mut command, name, LIMIT)?
        .with_context(|| format!("{name} did not end within {} s", LIMIT.as_secs()))?
        .must_succeed(&format!("{name} in QEMU"))
}
