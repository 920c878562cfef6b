//! The need: the servers that the relay is measured beside.
//!
//! Debian starts a service for each of these packages where services run. Those are left alone: the
//! bench starts processes of its own on other ports, and uses the programs only.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Programs with the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 3] = [
    ("nats-server", "nats-server"),
    ("mosquitto", "mosquitto"),
    ("redis-server", "redis-server"),
];

/// Where Debian puts servers, and people who are not root have no PATH to.
const SERVERS: &str = "/usr/sbin";

/// Finds the servers, else installs them, else says what to install.
pub(super) fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Servers to compare with are missing: {}", missing.join(" "));
    let by_apt = apt::install(&missing);
    let missing = self::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "servers to compare with are missing ({why}). Install them, then run this again:\n  \
         apt-get install {}",
        missing.join(" ")
    )
}

/// A server's program.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let beside = Path::new(SERVERS).join(name);
    process::on_path(name).or(beside.is_file().then_some(beside))
}

/// The packages whose programs are not there.
fn missing() -> Vec<&'static str> {
    PROGRAMS
        .into_iter()
        .filter(|(name, _)| program(name).is_none())
        .map(|(_, package)| package)
        .collect()
}
