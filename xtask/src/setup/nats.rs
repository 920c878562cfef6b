//! The need: NATS's server, for the tests of a relay whose store is a cluster.

use anyhow::{Result, bail};

use super::apt;
use crate::process;

/// Program and Debian's package.
const SERVER: &str = "nats-server";

/// Finds it, else installs it, else says what to install.
pub(super) fn ensure() -> Result<()> {
    if process::on_path(SERVER).is_some() {
        return Ok(());
    }
    eprintln!("No NATS server yet.");
    let by_apt = apt::install(&[SERVER]);
    if process::on_path(SERVER).is_some() {
        return Ok(());
    }
    let why = by_apt.err().map_or_else(
        || "installed, and still not found".to_owned(),
        |error| format!("{error:#}"),
    );
    bail!(
        "{SERVER} is missing ({why}). Install it, then run this again:\n  apt-get install \
         {SERVER}\n  brew install {SERVER}"
    )
}
