//! A relay in a process of its own, whose memory and descriptors the kernel counts.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{self, Process};
use crate::support::Target;

pub(crate) struct Victim {
    pub(crate) relay: Process,
    pub(crate) target: Target,
    metrics: SocketAddr,
    _data: TempDir,
}

/// What the allocator keeps of memory that was given back, KiB: lists of free blocks, and what lies between others. After
/// eight waves of a hundred strangers in TLS it is 5,660, as after six.
pub(crate) const KEPT_KIB: u64 = 6 * 1024;

impl Victim {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = free.local_addr().unwrap();
        drop(free);
        // Nobody reads its log: a full pipe would stop it.
        let mut command = process::command(data.path());
        command.args(["--metrics", &metrics.to_string()]);
        let relay = Process::spawn(command.args(flags).stderr(Stdio::null()));
        Self {
            target: relay.target,
            relay,
            metrics,
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

    /// What it says of itself.
    pub(crate) async fn figures(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    /// Waits until its figures have this line.
    pub(crate) async fn says(&self, line: &str) {
        let mut said = String::new();
        for _ in 0..600 {
            said = self.figures().await;
            if said.lines().any(|there| there == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{line} never came:\n{said}");
    }

    /// Waits until it has as many descriptors as before an attack, and nobody but `clients`; its memory is what it
    /// was, when it had `base` KiB.
    pub(crate) async fn is_as_before(&self, descriptors: usize, clients: usize, base: u64) {
        let grown = self.grew(descriptors, clients, base).await;
        assert!(grown <= KEPT_KIB, "{grown} KiB stay");
    }

    /// The same, and how many KiB more than `base` it has.
    pub(crate) async fn grew(&self, descriptors: usize, clients: usize, base: u64) -> u64 {
        self.wait_for_descriptors(descriptors).await;
        // Whoever has a place has a task, a stranger too.
        self.says(&format!("hushwire_relay_open_connections {clients}"))
            .await;
        self.says(&format!("hushwire_relay_connections {clients}"))
            .await;
        let grown = self.resident_kib().saturating_sub(base);
        println!("afterwards: {grown} KiB more than before");
        grown
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
