//! How cost grows: with connections, and with stored messages.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::own_kernel;
use super::server::{self, Server};
use super::{Programs, SPARE};
use crate::project;

const CONNECTIONS: [u64; 5] = [100, 1_000, 10_000, 20_000, 50_000];
/// Messages under way on each pair: many pairs have many all the same.
const WINDOW: &str = "8";
const STORED: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Messages in a mailbox, where there are many: twice what one takes by default.
const IN_MAILBOX: u64 = 256;
/// Mailboxes, where there are few messages.
const MAILBOXES: u64 = 1_000;
/// Free bytes of the disk that a stored message asks for, to be on the safe side.
const DISK_EACH: u64 = 2_000;
/// A relay that does not serve after this time never will; between two looks whether it does.
const UP: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

/// All figures, each of `seconds` where it is of a time.
pub(super) fn measure(programs: &Programs, seconds: u64, descriptors: u64) -> Result<Value> {
    let for_seconds = seconds.to_string();
    let mut connected = Vec::new();
    for connections in steps(descriptors.saturating_sub(SPARE)) {
        let pairs = (connections / 2).to_string();
        let arguments = [
            "pairs",
            "--pairs",
            &pairs,
            "--window",
            WINDOW,
            "--seconds",
            &for_seconds,
        ];
        let disk = tempfile::tempdir_in(project::target_dir())?;
        let mut figures = programs.relay(disk.path(), &arguments)?;
        figures["connections"] = connections.into();
        eprintln!("measured: {connections} connections");
        connected.push(figures);
    }
    let own_kernel = match are_fewer(descriptors.saturating_sub(SPARE)) {
        true => own_kernel::measure(programs, seconds)?,
        false => json!([]),
    };
    let mut stored = Vec::new();
    for messages in STORED {
        let disk = tempfile::tempdir_in(project::target_dir())?;
        let free = rustix::fs::statvfs(disk.path())?;
        if free.f_bavail * free.f_frsize < messages * DISK_EACH {
            eprintln!("not measured: {messages} stored messages, for the disk has not enough room");
            continue;
        }
        stored.push(fill(programs, disk.path(), messages)?);
        eprintln!("measured: {messages} stored messages");
    }
    Ok(json!({ "connected": connected, "own_kernel": own_kernel, "stored": stored }))
}

/// As many connections as are to be measured. Where the machine allows fewer descriptors, as many as
/// it allows, and no more.
fn steps(allowed: u64) -> Vec<u64> {
    let mut steps: Vec<_> = CONNECTIONS.map(|wanted| wanted.min(allowed)).into();
    steps.dedup();
    steps
}

/// Whether the machine allows a process fewer descriptors than are to be measured.
fn are_fewer(allowed: u64) -> bool {
    CONNECTIONS.iter().any(|wanted| *wanted > allowed)
}

/// Stores so many messages, and starts the relay anew on them: after an order to stop, and after a
/// SIGKILL.
fn fill(programs: &Programs, folder: &Path, messages: u64) -> Result<Value> {
    let data = folder.join("data");
    let relay = Server::relay(&programs.relay, &data)?;
    let figures = store(programs, &relay, messages)?;
    let resident = relay.resident()?;
    relay.stop()?;
    let file = std::fs::metadata(data.join("store.redb"))
        .context("no store")?
        .len();

    let (relay, after_stop) = serving(programs, &data)?;
    let restarted = relay.resident()?;
    drop(relay);
    let (_, after_kill) = serving(programs, &data)?;
    Ok(json!({
        "messages": messages,
        "accepted_per_second": figures["per_second"],
        "resident_bytes": resident,
        "resident_bytes_after_start": restarted,
        "file_bytes": file,
        "start_ms": after_stop.as_millis() as u64,
        "start_after_kill_ms": after_kill.as_millis() as u64,
    }))
}

/// Has the relay store so many messages for who is away.
pub(super) fn store(programs: &Programs, relay: &Server, messages: u64) -> Result<Value> {
    let count = messages.to_string();
    let mailboxes = (messages / IN_MAILBOX).max(MAILBOXES).to_string();
    let arguments = ["durable", "--messages", &count, "--mailboxes", &mailboxes];
    programs.load(relay, &arguments)
}

/// A relay on what is stored, and the time until it has read that and answers its operator.
fn serving(programs: &Programs, data: &Path) -> Result<(Server, Duration)> {
    let began = Instant::now();
    let relay = Server::relay(&programs.relay, data)?;
    await_answer(programs, data, began)?;
    Ok((relay, began.elapsed()))
}

/// Waits until the relay there has the store, has read it and answers its operator.
pub(super) fn await_answer(programs: &Programs, data: &Path, began: Instant) -> Result<()> {
    while !asks(programs, data)? {
        ensure!(
            began.elapsed() < UP,
            "the relay does not answer its operator"
        );
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Whether the relay there answers. One that passes its clients on refuses to.
fn asks(programs: &Programs, data: &Path) -> Result<bool> {
    let mut command = Command::new(&programs.relay);
    command.arg("status").arg("--data").arg(data);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok(server::on_core(1, || command.status())??.success())
}

/// The figures for people.
pub(super) fn table(growth: &Value) {
    println!(
        "\n| connections, half of them senders with {WINDOW} under way | msg/s | CPU of the relay per message | resident |"
    );
    println!("| ---: | ---: | ---: | ---: |");
    for of in growth["connected"].as_array().into_iter().flatten() {
        println!(
            "| {} | {:.0} | {:.2} µs | {:.0} MiB |",
            of["connections"],
            of["per_second"].as_f64().unwrap_or(f64::NAN),
            of["cpu_ns_per_message"].as_f64().unwrap_or(f64::NAN) / 1e3,
            mib(&of["resident"]),
        );
    }
    if growth["own_kernel"] != json!([]) {
        own_kernel::table(&growth["own_kernel"]);
    }
    println!(
        "\n| stored messages | accepted/s | resident | after a start | file | start | start after SIGKILL |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for of in growth["stored"].as_array().into_iter().flatten() {
        println!(
            "| {} | {:.0} | {:.0} MiB | {:.0} MiB | {:.0} MiB | {} ms | {} ms |",
            of["messages"],
            of["accepted_per_second"].as_f64().unwrap_or(f64::NAN),
            mib(&of["resident_bytes"]),
            mib(&of["resident_bytes_after_start"]),
            mib(&of["file_bytes"]),
            of["start_ms"],
            of["start_after_kill_ms"],
        );
    }
}

fn mib(bytes: &Value) -> f64 {
    bytes.as_f64().unwrap_or(f64::NAN) / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_what_the_machine_allows() {
        assert_eq!(steps(60_000), CONNECTIONS);
        assert_eq!(steps(19_500), [100, 1_000, 10_000, 19_500]);
        assert!(are_fewer(19_500) && !are_fewer(60_000));
    }
}
