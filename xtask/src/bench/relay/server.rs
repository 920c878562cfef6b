//! What is measured: a process on core 0, ended by its own handle.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::process;

/// A server that does not listen after this time never will.
const UP: Duration = Duration::from_secs(10);

/// The bounds that would otherwise be measured: one identity sends as much as hundreds do.
pub(super) const BOUNDS: [&str; 20] = [
    "--mailbox-messages",
    "20000",
    "--mailbox-bytes",
    "1073741824",
    "--store-bytes",
    "1099511627776",
    "--sender-share",
    "1",
    "--submit-rate",
    "4000000",
    "--submit-burst",
    "4000000",
    "--request-rate",
    "1000000",
    "--request-burst",
    "1000000",
    "--connections",
    "60000",
    "--handshake-timeout",
    "60s",
];

/// A running server.
pub(super) struct Server {
    child: Child,
    /// Where it is reached: the first line that ours print.
    pub(super) url: String,
}

impl Server {
    /// A relay on a port of its own.
    pub(super) fn relay(program: &Path, data: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--log", "error", "--data"]);
        command.arg(data).args(BOUNDS);
        Self::start(command)
    }

    /// One of several relays whose store is on a cluster.
    pub(super) fn node(program: &Path, data: &Path, key: &Path, store: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--store",
            store,
        ]);
        command
            .arg("--key")
            .arg(key)
            .arg("--data")
            .arg(data)
            .args(BOUNDS);
        Self::start(command)
    }

    /// The generator's bare forwarder.
    pub(super) fn forwarder(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("forwarder");
        Self::start(command)
    }

    /// Another server, which listens on `port` of 127.0.0.1 and says nothing of use.
    pub(super) fn peer(mut command: Command, port: u16) -> Result<Self> {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let what = process::shown(&command);
        let child = on_core(0, || command.spawn())?.context("the server does not start")?;
        let url = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self {
            child,
            url: url.to_string(),
        };
        let deadline = Instant::now() + UP;
        while TcpStream::connect(url).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("`{what}` ended by itself: {status}");
            }
            ensure!(Instant::now() < deadline, "`{what}` does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = on_core(0, || command.spawn())?.context("the server does not start")?;
        let stdout = child.stdout.take().context("no output")?;
        let mut server = Self {
            child,
            url: String::new(),
        };
        BufReader::new(stdout).read_line(&mut server.url)?;
        server.url.truncate(server.url.trim_end().len());
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory that it has now.
    pub(super) fn resident(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let pages = text.split_whitespace().nth(1).context("an unknown statm")?;
        Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
    }

    /// What it took of the processor so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // Behind the name, which may have spaces in it.
        let (_, rest) = text.rsplit_once(") ").context("an unknown stat")?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut ticks = || anyhow::Ok(fields.next().context("an unknown stat")?.parse::<u64>()?);
        let spent = ticks()? + ticks()?;
        Ok(Duration::from_millis(
            spent * 1_000 / rustix::param::clock_ticks_per_second(),
        ))
    }

    /// Stops it in order.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "the relay did not stop in order: {status}"
        );
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; its store is thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago: for servers that take no port 0.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// So many of them, each another: all are held until the last is found.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..count).map(bind).collect::<Result<Vec<_>, _>>()?;
    let ports = held
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect()
}

/// Runs `work` on one core; what it starts stays there. On a machine with one core, on that.
pub(super) fn on_core<T>(core: usize, work: impl FnOnce() -> T) -> Result<T> {
    let allowed = sched_getaffinity(None)?;
    let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let core = cores.take(core + 1).last().context("no core")?;
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only)?;
    let done = work();
    sched_setaffinity(None, &allowed)?;
    Ok(done)
}

/// Allows as many open descriptors as the machine lets us, for what is started from here on too.
/// Returns how many.
pub(super) fn raise_descriptors() -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
