//! Cores that are kept from halting while figures are taken.
//!
//! At a few thousand messages a second the cores sleep between two of them, and how long a virtual machine's
//! host takes to wake one up varies by more than what is measured. With this it takes no part.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::server::on_core;

/// Ends by itself when whoever started it is gone.
const LOOP: &str =
    "while kill -0 $PPID; do n=0; while [ $n -lt 1000000 ]; do n=$((n + 1)); done; done";

/// A loop on each of the two cores, which runs when nothing else wants to; ended when it is dropped.
pub(super) struct Awake(Vec<Child>);

impl Awake {
    pub(super) fn keep() -> Result<Self> {
        let mut awake = Self(Vec::new());
        for core in [0, 1] {
            let mut idle = Command::new("chrt");
            idle.args(["--idle", "0", "sh", "-c", LOOP]);
            idle.stdin(Stdio::null()).stderr(Stdio::null());
            let child = on_core(core, || idle.spawn())?;
            awake
                .0
                .push(child.context("chrt (of util-linux) does not start")?);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
