//! `bench relay --nodes`: what it costs that several relays serve one store (docs/SCALE.md).
//!
//! Three NATS servers and two relays share core 0, the generator has core 1. So messages a second are worth
//! little, and CPU time for each message is what to read: on machines of their own each process has it
//! to itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use super::server::{self, Server};
use super::{Programs, SENDERS, Work};
use crate::setup;

/// Servers of the cluster.
const SERVERS: usize = 3;
/// Messages a second where latencies are compared: far below what all of them can do on one core.
const RATE: &str = "2000";

/// The figures of a relay alone, of the one that has the store, and of another one.
pub(super) fn measure(work: &Work, programs: &Programs, disk: &Path) -> Result<Map<String, Value>> {
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
    let mut figures = Map::new();
    for (name, arguments) in works {
        let alone = programs.relay(disk, arguments)?;
        figures.insert(format!("{name}, a relay alone"), alone);
        for through_owner in [true, false] {
            let through = match through_owner {
                true => "through the relay that has the store",
                false => "through another relay",
            };
            let measured = on_cluster(programs, disk, arguments, through_owner)
                .with_context(|| format!("no figures of {name}, {through}"))?;
            eprintln!("measured: {name}, {through}");
            figures.insert(format!("{name}, {through}"), measured);
        }
    }
    Ok(figures)
}

/// A new cluster for each figure: what one has stored is not in the way of the next.
fn on_cluster(
    programs: &Programs,
    disk: &Path,
    arguments: &[&str],
    through_owner: bool,
) -> Result<Value> {
    let folder = tempfile::tempdir_in(disk)?;
    let (servers, url) = cluster(folder.path())?;
    let relay = |name: &str| {
        let (data, key) = (folder.path().join(name), folder.path().join("key"));
        Server::node(&programs.relay, &data, &key, &url)
    };
    let owner = relay("owner")?;
    let other = relay("other")?;
    for relay in [&owner, &other] {
        ensure!(relay.url.starts_with("hush://"), "a relay did not start");
    }
    let (to, beside) = match through_owner {
        true => (&owner, &other),
        false => (&other, &owner),
    };
    let mut arguments: Vec<_> = arguments.iter().map(|part| (*part).to_owned()).collect();
    for process in [beside].into_iter().chain(&servers) {
        arguments.extend(["--also".to_owned(), process.pid().to_string()]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    programs.load(to, &arguments)
}

/// Three servers with JetStream, and what `--store` takes for them.
fn cluster(folder: &Path) -> Result<(Vec<Server>, String)> {
    let ports: Vec<_> = (0..SERVERS)
        .map(|_| Ok((server::free_port()?, server::free_port()?)))
        .collect::<Result<_>>()?;
    let routes: Vec<_> = ports
        .iter()
        .map(|(_, routes)| format!("nats://127.0.0.1:{routes}"))
        .collect();
    let start = |(n, (clients, own)): (usize, &(u16, u16))| {
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
        .map(|(clients, _)| format!("127.0.0.1:{clients}"))
        .collect();
    Ok((servers, format!("nats://{}/bench", hosts.join(","))))
}

/// The figures for people.
pub(super) fn table(figures: &Map<String, Value>) {
    println!(
        "| work | msg/s | p50 | p99 | CPU per message: the relay called | the other relay | NATS, all three |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, of) in figures {
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
}
