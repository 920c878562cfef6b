//! `bench relay`: the relay alone on one core, its clients on another, over loopback.
//!
//! Relay and generator are processes of their own in the release profile. A bare forwarder on the same
//! runtime, loaded by the same generator, says what kernel, runtime and generator allow. Nothing here
//! passes or fails: figures of a shared machine are worth their ratios within one run. `--peers` puts
//! other servers through the same work in the same run.

mod growth;
mod nodes;
mod peers;
mod print;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::{process, project, setup};
use server::Server;

/// Where fsync costs nothing: the figure beside which the durable one stands.
const IN_MEMORY: &str = "/dev/shm";
/// Senders of the durable work.
const SENDERS: usize = 50;
/// Connections that say nothing; fewer where the machine allows fewer descriptors.
const IDLE: u64 = 10_000;
/// Descriptors that are no idle connection's.
const SPARE: u64 = 500;

/// What is measured.
pub(crate) struct Work {
    /// Pairs of a sender and a recipient.
    pub(crate) pairs: usize,
    /// Seconds of each figure.
    pub(crate) seconds: u64,
    /// Messages a second where latencies are compared.
    pub(crate) rate: u64,
    /// Measure how cost grows instead.
    pub(crate) growth: bool,
    /// Print one JSON object instead of a table.
    pub(crate) json: bool,
    /// Put other servers through the same work too.
    pub(crate) peers: bool,
    /// Measure several relays of one store instead.
    pub(crate) nodes: bool,
}

/// The command.
pub(crate) fn run(work: &Work) -> Result<()> {
    if work.peers {
        setup::peers()?;
    }
    let programs = Programs::build()?;
    let disk = tempfile::tempdir_in(project::target_dir())?;
    let descriptors = server::raise_descriptors()?;
    if work.growth {
        let growth = growth::measure(&programs, work.seconds, descriptors)?;
        match work.json {
            true => println!("{growth:#}"),
            false => growth::table(&growth),
        }
        return Ok(());
    }
    if work.nodes {
        setup::nats()?;
        let figures = nodes::measure(work, &programs, disk.path(), descriptors)?;
        match work.json {
            true => println!("{:#}", Value::Object(figures)),
            false => nodes::table(&figures),
        }
        return Ok(());
    }
    let mut figures = all(work, &programs, disk.path(), descriptors)?;
    if work.peers {
        let measured = peers::measure(work, &programs, disk.path(), &figures)?;
        figures.insert("peers".to_owned(), measured.into());
    }
    match work.json {
        true => println!("{:#}", Value::Object(figures)),
        false => print::table(&figures),
    }
    Ok(())
}

fn all(
    work: &Work,
    programs: &Programs,
    disk: &Path,
    descriptors: u64,
) -> Result<Map<String, Value>> {
    let (seconds, pairs, rate) = (
        work.seconds.to_string(),
        work.pairs.to_string(),
        work.rate.to_string(),
    );
    let load = ["--seconds", &seconds];
    let many = ["pairs", "--pairs", &pairs];
    let paced = [&many[..], &["--rate", &rate]].concat();
    let mut figures = Map::new();
    let mut add = |name: &str, value: Value| {
        eprintln!("measured: {name}");
        figures.insert(name.to_owned(), value);
    };

    add(
        "online",
        programs.relay(disk, &[&many, &load[..]].concat())?,
    );
    add(
        "online, forwarder",
        programs.forwarder(&[&many, &load[..]].concat())?,
    );
    add(
        "online, paced",
        programs.relay(disk, &[&paced, &load[..]].concat())?,
    );
    add(
        "online, paced, forwarder",
        programs.forwarder(&[&paced, &load[..]].concat())?,
    );

    let senders = SENDERS.to_string();
    let durable = [&["durable", "--senders", &senders], &load[..]].concat();
    let alone = [&["durable", "--senders", "1", "--window", "1"], &load[..]].concat();
    let each = [
        &["durable", "--senders", &senders, "--window", "1"],
        &load[..],
    ]
    .concat();
    let memory = Path::new(IN_MEMORY);
    add("durable", programs.relay(disk, &durable)?);
    for (name, arguments) in [
        ("accepted, 1 sender", &alone),
        ("accepted, 50 senders", &each),
    ] {
        add(name, programs.relay(disk, arguments)?);
        if memory.is_dir() {
            let folder = tempfile::tempdir_in(memory)?;
            let unsynced = programs.relay(folder.path(), arguments)?;
            add(&format!("{name}, without sync"), unsynced);
        }
    }

    let idle = IDLE.min(descriptors.saturating_sub(SPARE)).to_string();
    add(
        "idle",
        programs.relay(disk, &["idle", "--connections", &idle])?,
    );
    add(
        "work",
        json!({ "pairs": work.pairs, "rate": work.rate, "payload": 256, "window": 64 }),
    );
    Ok(figures)
}

/// The two programs.
struct Programs {
    relay: PathBuf,
    generator: PathBuf,
}

impl Programs {
    fn build() -> Result<Self> {
        let mut command = process::cargo();
        command.args(["build", "--release", "--quiet"]);
        command.args(["--package", "hushwire-relay", "--package", "bench-relay"]);
        let status = command.status()?;
        ensure!(
            status.success(),
            "relay and generator do not build, see above"
        );
        let folder = project::target_dir().join("release");
        Ok(Self {
            relay: folder.join("hushwire-relay"),
            generator: folder.join("bench-relay"),
        })
    }

    /// The generator's figures with a new relay whose store is in `folder`.
    fn relay(&self, folder: &Path, arguments: &[&str]) -> Result<Value> {
        let data = tempfile::tempdir_in(folder)?;
        let relay = Server::relay(&self.relay, &data.path().join("data"))?;
        self.load(&relay, arguments)
    }

    /// The generator's figures with the bare forwarder.
    fn forwarder(&self, arguments: &[&str]) -> Result<Value> {
        let forwarder = Server::forwarder(&self.generator)?;
        self.load(&forwarder, &[arguments, &["--plain"]].concat())
    }

    fn load(&self, server: &Server, arguments: &[&str]) -> Result<Value> {
        let mut command = std::process::Command::new(&self.generator);
        command.args(arguments);
        command.args(["--to", &server.url, "--pid", &server.pid().to_string()]);
        let figures = server::on_core(1, || process::stdout_of(&mut command))??;
        serde_json::from_str(&figures).context("the generator printed no figures")
    }
}
