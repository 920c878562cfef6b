//! `bench relay`: the relay alone on one core, its clients on another, over loopback.
//!
//! Relay and generator are processes of their own in the release profile. A bare forwarder on the same
//! runtime, loaded by the same generator, says what kernel, runtime and generator allow. Nothing here
//! passes or fails: figures of a shared machine are worth their ratios within one run, in which each is
//! taken several times and all in turn. `--peers` puts other servers through the same work in the same run.

mod awake;
mod growth;
mod nodes;
mod own_kernel;
mod peers;
mod print;
mod rounds;
mod server;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::{process, project, setup};
use awake::Awake;
use rounds::Figure;
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
    /// Times that each figure is taken.
    pub(crate) rounds: usize,
    /// Messages a second where latencies are compared.
    pub(crate) rates: Vec<u64>,
    /// Measure how cost grows instead.
    pub(crate) growth: bool,
    /// Print one JSON object instead of a table.
    pub(crate) json: bool,
    /// Put other servers through the same work too.
    pub(crate) peers: bool,
    /// Measure several relays of one store instead.
    pub(crate) nodes: bool,
    /// Keep the cores from halting meanwhile.
    pub(crate) awake: bool,
}

/// The command.
pub(crate) fn run(work: &Work) -> Result<()> {
    if work.peers {
        setup::peers()?;
    }
    let programs = Programs::build()?;
    let disk = tempfile::tempdir_in(project::target_dir())?;
    let descriptors = server::raise_descriptors()?;
    let _awake = work.awake.then(Awake::keep).transpose()?;
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
    let figures = all(work, &programs, disk.path(), descriptors)?;
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
    let mut figures = own(work, programs, disk);
    if work.peers {
        figures.extend(peers::figures(work, programs, disk));
    }
    let mut figures = rounds::all(&figures, work.rounds)?;
    if work.peers {
        peers::describe(&mut figures)?;
    }
    let idle = IDLE.min(descriptors.saturating_sub(SPARE)).to_string();
    let words = ["idle", "--connections", &idle];
    figures.insert("idle".to_owned(), programs.relay(disk, &words)?);
    let registered = [&words[..], &["--register"]].concat();
    let registered = programs.relay(disk, &registered)?;
    figures.insert("idle_registered".to_owned(), registered);
    if work.peers {
        let idle = peers::idle(programs, disk, &words)?;
        figures.insert("idle_peers".to_owned(), idle.into());
    }
    figures.insert(
        "work".to_owned(),
        json!({ "pairs": work.pairs, "rates": work.rates, "payload": 256, "window": 64 }),
    );
    Ok(figures)
}

/// The relay's figures, and the bare forwarder's.
fn own<'a>(work: &Work, programs: &'a Programs, disk: &'a Path) -> Vec<Figure<'a>> {
    let load = |arguments: &[&str]| -> Vec<String> {
        let words = arguments.iter().map(|word| (*word).to_owned());
        words
            .chain(["--seconds".to_owned(), work.seconds.to_string()])
            .collect()
    };
    let relay = |name: &str, arguments: Vec<String>, folder: &'a Path| {
        Figure::new(name, move || programs.relay(folder, &arguments))
    };
    let pairs = work.pairs.to_string();
    let many = load(&["pairs", "--pairs", &pairs]);
    let forwarded = many.clone();
    let mut figures = vec![
        relay("online", many, disk),
        Figure::new("online, forwarder", move || programs.forwarder(&forwarded)),
    ];
    for rate in &work.rates {
        let paced = load(&["pairs", "--pairs", &pairs, "--rate", &rate.to_string()]);
        let forwarded = paced.clone();
        figures.push(relay(&print::paced(*rate, false), paced, disk));
        figures.push(Figure::new(print::paced(*rate, true), move || {
            programs.forwarder(&forwarded)
        }));
    }
    let senders = SENDERS.to_string();
    let durable = load(&["durable", "--senders", &senders]);
    figures.push(relay("durable", durable, disk));
    let memory = Path::new(IN_MEMORY);
    for (name, senders) in [("1 sender", "1"), ("50 senders", &*senders)] {
        let one = load(&["durable", "--senders", senders, "--window", "1"]);
        figures.push(relay(&format!("accepted, {name}"), one.clone(), disk));
        if memory.is_dir() {
            let name = format!("accepted, {name}, without sync");
            figures.push(relay(&name, one, memory));
        }
    }
    figures
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
    fn relay(&self, folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Value> {
        let data = tempfile::tempdir_in(folder)?;
        let relay = Server::relay(&self.relay, &data.path().join("data"))?;
        self.load(&relay, arguments)
    }

    /// The generator's figures with the bare forwarder.
    fn forwarder(&self, arguments: &[String]) -> Result<Value> {
        let forwarder = Server::forwarder(&self.generator)?;
        let plain = [arguments, &["--plain".to_owned()]].concat();
        self.load(&forwarder, &plain)
    }

    fn load(&self, server: &Server, arguments: &[impl AsRef<OsStr>]) -> Result<Value> {
        let mut command = std::process::Command::new(&self.generator);
        command.args(arguments);
        command.args(["--to", &server.url, "--pid", &server.pid().to_string()]);
        let figures = server::on_core(1, || process::stdout_of(&mut command))??;
        serde_json::from_str(&figures).context("the generator printed no figures")
    }
}
