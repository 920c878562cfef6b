//! A relay in a process of its own, whose memory and descriptors the kernel counts.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{self, Process};
use crate::support::Target;

pub(crate) struct Victim {
    pub(crate) relay: Process,
    pub(crate) target: Target,
    _data: TempDir,
}

impl Victim {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        // Nobody reads its log: a full pipe would stop it.
        let mut command = process::command(data.path());
        let relay = Process::spawn(command.args(flags).stderr(Stdio::null()));
        Self {
            target: relay.target,
            relay,
            _data: data,
        }
    }

    /// Memory that it has now, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it had since [`Self::base_kib`] was asked, KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Memory that it asked the kernel for, used or not, KiB.
    pub(crate) fn data_kib(&self) -> u64 {
        self.status("VmData:")
    }

    /// Memory that it has now, KiB. Its peak begins anew: that of its start would hide an attack's.
    pub(crate) fn base_kib(&self) -> u64 {
        let path = format!("/proc/{}/clear_refs", self.relay.id());
        std::fs::write(path, "5").expect("Linux forgets a peak");
        self.peak_kib()
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.relay.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.relay.id());
        std::fs::read_dir(path).unwrap().count()
    }

    /// Waits until it has as many descriptors as before an attack.
    pub(crate) async fn wait_for_descriptors(&self, count: usize) {
        for _ in 0..600 {
            if self.descriptors() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} descriptors, {count} before", self.descriptors());
    }
}

/// A figure from the environment: how large a full run is.
pub(crate) fn scale(variable: &str, everyday: usize) -> usize {
    let given = std::env::var(variable).ok();
    given.map_or(everyday, |given| given.parse().expect("a number"))
}
