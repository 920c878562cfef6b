//! Other servers on the same work in the same run, as Debian has them.
//!
//! Each is a process on core 0, on a free port of 127.0.0.1, with a temporary folder, and ended by its
//! own handle; a service that the package may have started is not used. Settings are the server's
//! own, but for bounds that would be measured in the work's place. No peer encrypts: with TLS each
//! would cost more.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::rounds::Figure;
use super::server::{self, Server};
use super::{Programs, SENDERS, Work};
use crate::{process, setup};

/// What a peer runs, and what its answer to a sender is worth.
struct Peer {
    name: &'static str,
    server: Kind,
    /// The generator's word for what it speaks.
    protocol: &'static str,
    /// Recipients are away, and the answer is what is counted.
    durable: bool,
    acks: &'static str,
    fsync: &'static str,
}

#[derive(Clone, Copy)]
enum Kind {
    Nats,
    Mosquitto,
    Redis,
}

const PEERS: [Peer; 8] = [
    Peer {
        name: "NATS core",
        server: Kind::Nats,
        protocol: "nats",
        durable: false,
        acks: "no",
        fsync: "no",
    },
    Peer {
        name: "Redis pub/sub",
        server: Kind::Redis,
        protocol: "redis-pubsub",
        durable: false,
        acks: "the server's",
        fsync: "no",
    },
    Peer {
        name: "Redis streams, XADD, XREAD, XDEL, in memory",
        server: Kind::Redis,
        protocol: "redis-streams",
        durable: false,
        acks: "the server's; recipient deletes",
        fsync: "no",
    },
    Peer {
        name: "Mosquitto QoS 0",
        server: Kind::Mosquitto,
        protocol: "mqtt0",
        durable: false,
        acks: "no",
        fsync: "no",
    },
    Peer {
        name: "Mosquitto QoS 1",
        server: Kind::Mosquitto,
        protocol: "mqtt1",
        durable: false,
        acks: "the server's; recipient's",
        fsync: "no",
    },
    Peer {
        name: "Redis streams, appendfsync always",
        server: Kind::Redis,
        protocol: "redis-streams",
        durable: true,
        acks: "yes",
        fsync: "yes",
    },
    Peer {
        name: "JetStream, file storage",
        server: Kind::Nats,
        protocol: "jetstream",
        durable: true,
        acks: "yes",
        fsync: "no",
    },
    Peer {
        name: "Mosquitto QoS 1, persistence",
        server: Kind::Mosquitto,
        protocol: "mqtt1",
        durable: true,
        acks: "yes",
        fsync: "no",
    },
];

/// What is to be measured of each.
pub(super) fn figures<'a>(
    work: &'a Work,
    programs: &'a Programs,
    disk: &'a Path,
) -> impl Iterator<Item = Figure<'a>> {
    PEERS
        .iter()
        .map(move |peer| Figure::new(peer.name, move || one(peer, work, programs, disk)))
}

/// Puts the peers' figures apart, each with its share of what the relay's own say of the same work.
pub(super) fn describe(figures: &mut Map<String, Value>) -> Result<()> {
    let rate = |of: &Value| of.get("per_second").and_then(Value::as_f64);
    let mut all = Vec::new();
    for peer in &PEERS {
        let beside = if peer.durable { "durable" } else { "online" };
        let mut measured = figures.remove(peer.name).context("a peer is missing")?;
        let ratio = rate(&measured)
            .zip(figures.get(beside).and_then(rate))
            .map(|(peer, own)| (peer / own * 1000.0).round() / 1000.0);
        measured["name"] = json!(peer.name);
        measured["beside"] = json!(beside);
        measured["of_hushwires"] = json!(ratio);
        measured["version"] = json!(version(peer.server)?);
        measured["encrypted"] = json!("no");
        measured["acks"] = json!(peer.acks);
        measured["fsync_before_ack"] = json!(peer.fsync);
        all.push(measured);
    }
    figures.insert("peers".to_owned(), all.into());
    Ok(())
}

fn one(peer: &Peer, work: &Work, programs: &Programs, disk: &Path) -> Result<Value> {
    let folder = tempfile::tempdir_in(disk)?;
    let port = server::free_port()?;
    let command = peer.server.command(port, folder.path(), peer.durable)?;
    let server = Server::peer(command, port)?;
    let (seconds, pairs, senders) = (
        work.seconds.to_string(),
        work.pairs.to_string(),
        SENDERS.to_string(),
    );
    let mut arguments = vec!["peer", peer.protocol, "--seconds", &seconds];
    match peer.durable {
        true => arguments.extend(["--durable", "--senders", &senders]),
        false => arguments.extend(["--pairs", &pairs]),
    }
    programs.load(&server, &arguments)
}

/// What an idle connection costs each of them: a recipient who waits.
pub(super) fn idle(programs: &Programs, disk: &Path, words: &[&str]) -> Result<Vec<Value>> {
    let all = [
        ("NATS core", Kind::Nats, "nats"),
        ("Redis pub/sub", Kind::Redis, "redis-pubsub"),
        ("Mosquitto", Kind::Mosquitto, "mqtt1"),
    ];
    let idle = all.iter().map(|(name, kind, protocol)| {
        let folder = tempfile::tempdir_in(disk)?;
        let port = server::free_port()?;
        let server = Server::peer(kind.command(port, folder.path(), false)?, port)?;
        let mut measured = programs.load(&server, &[words, &["--peer", protocol]].concat())?;
        measured["name"] = json!(name);
        Ok(measured)
    });
    idle.collect()
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Nats => "nats-server",
            Self::Mosquitto => "mosquitto",
            Self::Redis => "redis-server",
        }
    }

    /// The server on this port with its files in `folder`; `durable` where it has the choice.
    fn command(self, port: u16, folder: &Path, durable: bool) -> Result<Command> {
        let mut command = Command::new(setup::peer(self.program())?);
        let port = port.to_string();
        match self {
            Self::Nats => {
                command.args(["--addr", "127.0.0.1", "--port", &port]);
                if durable {
                    command.arg("--jetstream").arg("--store_dir").arg(folder);
                }
            }
            Self::Mosquitto => {
                let file = folder.join("mosquitto.conf");
                std::fs::write(&file, mosquitto(&port, folder, durable))?;
                command.arg("--config-file").arg(file);
            }
            Self::Redis => {
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
                command.arg("--dir").arg(folder);
                command.args(["--maxclients", "60000"]);
                if durable {
                    // Rewriting the file would be another process on the same core.
                    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                    command.args(["--auto-aof-rewrite-percentage", "0"]);
                }
            }
        }
        Ok(command)
    }
}

/// Without `user`, a Mosquitto that root starts could not write to its folder.
fn mosquitto(port: &str, folder: &Path, durable: bool) -> String {
    let folder = folder.display();
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest none\n\
         set_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\n\
         persistence {durable}\npersistence_location {folder}/\n"
    )
}

/// What the server calls itself, by its own first line that names a version.
fn version(kind: Kind) -> Result<String> {
    let mut command = Command::new(setup::peer(kind.program())?);
    command.arg(match kind {
        Kind::Mosquitto => "-h",
        Kind::Nats | Kind::Redis => "--version",
    });
    // Mosquitto calls its own help a failure.
    let output = command
        .output()
        .with_context(|| format!("cannot run `{}`", process::shown(&command)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
