//! Cores that are kept from halting while figures are taken.
//!
//! At a few thousand messages a second the cores sleep between two of them, and how long a virtual machine's
//! host takes to wake one up varies by more than what is measured. With this it takes no part.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::server::on_core;

/// Of the least priority there is, and killed when whoever started it is gone.
const LOOP: [&str; 8] = [
    "--pdeathsig",
    "KILL",
    "chrt",
    "--idle",
    "0",
    "sh",
    "-c",
    "while :; do :; done",
];

/// A loop on each of the two cores, which runs when nothing else wants to; ended when it is dropped.
pub(super) struct Awake(Vec<Child>);

impl Awake {
    pub(super) fn keep() -> Result<Self> {
        let mut awake = Self(Vec::new());
        for core in [0, 1] {
            let mut idle = Command::new("setpriv");
            idle.args(LOOP).stdin(Stdio::null());
            let child = on_core(core, || idle.spawn())?;
            let child = child.context("setpriv (of util-linux) does not start")?;
            awake.0.push(child);
        }
        std::thread::sleep(Duration::from_millis(200));
        for child in &mut awake.0 {
            let ended = child.try_wait()?;
            ensure!(ended.is_none(), "a core is not kept awake, see above");
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
