//! `bench relay --nodes`: what it costs that several relays serve one store (docs/SCALE.md).
//!
//! Three NATS servers and two relays share core 0, the generator has core 1. So messages a second are worth
//! little, and CPU time for each message is what to read: on machines of their own each process has it
//! to itself.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::rounds::{self, Figure};
use super::server::{self, Server};
use super::{Programs, SENDERS, SPARE, Work, growth};
use crate::setup;

/// Servers of the cluster.
const SERVERS: usize = 3;
/// Relays that pass on idle connections, and how many of those in all.
const FRONTS: usize = 3;
const IDLE: u64 = 50_000;
/// Messages that wait when the relay that has the store is killed.
const STORED: [u64; 4] = [1_000, 100_000, 1_000_000, 3_000_000];
/// The other relay's copy has followed when that relay did next to nothing for so long.
const QUIET: Duration = Duration::from_secs(5);
const NEXT_TO_NOTHING: Duration = Duration::from_millis(200);
/// Messages a second where latencies are compared: far below what all of them can do on one core.
const RATE: &str = "2000";

/// The figures of a relay alone, of the one that has the store, and of another one.
pub(super) fn measure(
    work: &Work,
    programs: &Programs,
    disk: &Path,
    descriptors: u64,
) -> Result<Map<String, Value>> {
    let (seconds, pairs, senders) = (
        work.seconds.to_string(),
        work.pairs.to_string(),
        SENDERS.to_string(),
    );
    let load = ["--seconds", &seconds];
    let online = [&["pairs", "--pairs", &pairs], &load[..]].concat();
    let paced = [&online[..], &["--rate", RATE]].concat();
    let durable = [&["durable", "--senders", &senders], &load[..]].concat();
    let works = [
        ("online", &online),
        ("paced", &paced),
        ("durable", &durable),
    ];
    let mut figures = Vec::new();
    for (name, arguments) in works {
        figures.push(Figure::new(format!("{name}, a relay alone"), || {
            programs.relay(disk, arguments)
        }));
        for through_owner in [true, false] {
            let through = match through_owner {
                true => "through the relay that has the store",
                false => "through another relay",
            };
            figures.push(Figure::new(format!("{name}, {through}"), move || {
                on_cluster(programs, disk, arguments, through_owner)
            }));
        }
    }
    let mut figures = rounds::all(&figures, work.rounds)?;
    let idle = idle(programs, disk, descriptors).context("no figures of idle connections")?;
    figures.insert("idle".to_owned(), idle);
    let mut taken = Vec::new();
    for messages in STORED {
        let of = take_over(programs, disk, messages);
        taken.push(of.with_context(|| format!("no take-over with {messages} messages"))?);
        eprintln!("measured: a take-over with {messages} messages");
    }
    figures.insert("take_over".to_owned(), taken.into());
    Ok(figures)
}

/// The relay that has the store is killed with so many messages stored: the time until another one serves clients.
fn take_over(programs: &Programs, disk: &Path, messages: u64) -> Result<Value> {
    let folder = tempfile::tempdir_in(disk)?;
    let mut relays = Relays::start(programs, folder.path(), 2)?;
    growth::store(programs, relays.owner(), messages)?;
    let mut busy = true;
    while busy {
        let before = relays.others()[0].cpu()?;
        std::thread::sleep(QUIET);
        busy = relays.others()[0].cpu()? - before > NEXT_TO_NOTHING;
    }
    let began = Instant::now();
    // Dropped, it is killed.
    drop(relays.relays.remove(0));
    growth::await_answer(programs, &folder.path().join("r1"), began)?;
    let took = began.elapsed().as_millis() as u64;
    Ok(json!({ "messages": messages, "ms": took }))
}

/// Idle connections at `FRONTS` relays that do not have the store, and what all of them cost each and
/// the one that has it.
fn idle(programs: &Programs, disk: &Path, descriptors: u64) -> Result<Value> {
    let each = (IDLE / FRONTS as u64).min(descriptors.saturating_sub(SPARE));
    let folder = tempfile::tempdir_in(disk)?;
    let relays = Relays::start(programs, folder.path(), 1 + FRONTS)?;
    let before = relays.owner().resident()?;
    let mut generators = Vec::new();
    let mut at_fronts = Vec::new();
    for (n, front) in relays.others().iter().enumerate() {
        let mut command = Command::new(&programs.generator);
        command.args(["idle", "--hold", "--to", &front.url]);
        command.args(["--pid", &front.pid().to_string()]);
        command.args(["--connections", &each.to_string()]);
        command.args(["--first", &(n as u64 * (each + 1_000)).to_string()]);
        let mut generator = Held::start(command)?;
        let figures = generator.figures()?;
        at_fronts.push(figures["bytes_each"].clone());
        generators.push(generator);
    }
    let connections = each * FRONTS as u64;
    let grown = relays.owner().resident()?.saturating_sub(before);
    drop(generators);
    Ok(json!({
        "connections": connections,
        "relays": FRONTS,
        "bytes_each_there": at_fronts,
        "bytes_each_at_owner": grown / connections.max(1),
    }))
}

/// A generator that keeps its connections until it is dropped.
struct Held {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Held {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = server::on_core(1, || command.spawn())??;
        let said = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            said: BufReader::new(said),
        })
    }

    fn figures(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        serde_json::from_str(&line).context("the generator printed no figures")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Relays of one store, the first of which has it, and their servers.
struct Relays {
    relays: Vec<Server>,
    servers: Vec<Server>,
}

impl Relays {
    fn start(programs: &Programs, folder: &Path, count: usize) -> Result<Self> {
        let (servers, url) = cluster(folder)?;
        let mut relays = Vec::new();
        for n in 0..count {
            let (data, key) = (folder.join(format!("r{n}")), folder.join("key"));
            let relay = Server::node(&programs.relay, &data, &key, &url)?;
            ensure!(relay.url.starts_with("hush://"), "a relay did not start");
            relays.push(relay);
        }
        Ok(Self { relays, servers })
    }

    fn owner(&self) -> &Server {
        &self.relays[0]
    }

    fn others(&self) -> &[Server] {
        &self.relays[1..]
    }
}

/// A new cluster for each figure: what one has stored is not in the way of the next.
fn on_cluster(
    programs: &Programs,
    disk: &Path,
    arguments: &[&str],
    through_owner: bool,
) -> Result<Value> {
    let folder = tempfile::tempdir_in(disk)?;
    let relays = Relays::start(programs, folder.path(), 2)?;
    let (owner, other) = (relays.owner(), &relays.others()[0]);
    let (to, beside) = match through_owner {
        true => (owner, other),
        false => (other, owner),
    };
    let mut arguments: Vec<_> = arguments.iter().map(|part| (*part).to_owned()).collect();
    for process in [beside].into_iter().chain(&relays.servers) {
        arguments.extend(["--also".to_owned(), process.pid().to_string()]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    programs.load(to, &arguments)
}

/// Three servers with JetStream, and what `--store` takes for them.
fn cluster(folder: &Path) -> Result<(Vec<Server>, String)> {
    let ports = server::free_ports(2 * SERVERS)?;
    let (ports, _) = ports.as_chunks::<2>();
    let routes: Vec<_> = ports
        .iter()
        .map(|[_, routes]| format!("nats://127.0.0.1:{routes}"))
        .collect();
    let start = |(n, [clients, own]): (usize, &[u16; 2])| {
        let mut command = Command::new(setup::peer("nats-server")?);
        command.args(["--addr", "127.0.0.1", "--port", &clients.to_string()]);
        command.args(["--name", &format!("n{n}"), "--cluster_name", "bench"]);
        command.args(["--cluster", &format!("nats://127.0.0.1:{own}")]);
        command.args(["--routes", &routes.join(",")]);
        command.arg("--jetstream").arg("--store_dir");
        command.arg(folder.join(format!("n{n}")));
        Server::peer(command, *clients)
    };
    let servers = ports.iter().enumerate().map(start);
    let servers = servers.collect::<Result<Vec<_>>>()?;
    let hosts: Vec<_> = ports
        .iter()
        .map(|[clients, _]| format!("127.0.0.1:{clients}"))
        .collect();
    Ok((servers, format!("nats://{}/bench", hosts.join(","))))
}

/// The figures for people.
pub(super) fn table(figures: &Map<String, Value>) {
    println!(
        "| work | msg/s | p50 | p99 | CPU per message: the relay called | the other relay | NATS, all three |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, of) in figures
        .iter()
        .filter(|(name, _)| !["idle", "take_over"].contains(&name.as_str()))
    {
        let number = |part: &str| of.get(part).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let times = of.get("delivery_us").or(of.get("accepted_us"));
        let time = |part: &str| {
            let time = times.and_then(|times| times.get(part)?.as_f64());
            time.unwrap_or(f64::NAN)
        };
        let nothing = json!([]);
        let also = of.get("also_ns_per_message").unwrap_or(&nothing);
        let also: Vec<_> = also.as_array().into_iter().flatten().collect();
        let cost = |some: &[&Value]| match some {
            [] => "".to_owned(),
            some => {
                let sum: f64 = some.iter().filter_map(|one| one.as_f64()).sum();
                format!("{:.2} µs", sum / 1e3)
            }
        };
        let (beside, nats) = also.split_at(also.len().min(1));
        println!(
            "| {name} | {:.0} | {:.0} µs | {:.0} µs | {:.2} µs | {} | {} |",
            number("per_second"),
            time("p50"),
            time("p99"),
            number("cpu_ns_per_message") / 1e3,
            cost(beside),
            cost(nats),
        );
    }
    if let Some(idle) = figures.get("idle") {
        println!(
            "\n{} idle connections at {} relays: bytes each there {}, at the relay that has the store {}",
            idle["connections"],
            idle["relays"],
            idle["bytes_each_there"],
            idle["bytes_each_at_owner"],
        );
    }
    println!("\n| messages that wait | from the kill until another relay serves |");
    println!("| ---: | ---: |");
    let taken = figures.get("take_over").and_then(Value::as_array);
    for of in taken.into_iter().flatten() {
        println!("| {} | {} ms |", of["messages"], of["ms"]);
    }
}
