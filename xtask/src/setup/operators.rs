//! The need: the programs that check what operators are given, alert rules and a systemd unit.

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Each program, and Debian's package that it comes with.
const CHECKERS: [(&str, &str); 2] = [("promtool", "prometheus"), ("systemd-analyze", "systemd")];

/// Finds them, else installs them, else says what to install.
pub(super) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("No {} yet.", names(&missing, |(program, _)| program));
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    let by_apt = apt::install(&packages);
    let missing = self::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "missing: {} ({why}). Install it, then run this again:\n  apt-get install {}",
        names(&missing, |(program, _)| program),
        names(&missing, |(_, package)| package)
    )
}

fn missing() -> Vec<(&'static str, &'static str)> {
    let mut checkers = CHECKERS.to_vec();
    checkers.retain(|(program, _)| process::on_path(program).is_none());
    checkers
}

fn names(
    of: &[(&'static str, &'static str)],
    name: fn((&'static str, &'static str)) -> &'static str,
) -> String {
    let names: Vec<_> = of.iter().map(|checker| name(*checker)).collect();
    names.join(" ")
}
