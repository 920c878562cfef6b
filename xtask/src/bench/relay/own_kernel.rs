//! More connections than this machine allows a process descriptors: relay and generator in a Linux kernel
//! of their own, which is a process itself (user-mode Linux) and whose bounds are ours to set.
//!
//! Memory is what it is elsewhere. A call of the kernel costs many times what it does on the machine itself,
//! and there is one core, so messages a second say nothing, and CPU a message only beside another row of the same
//! kernel.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Programs, server};
use crate::{process, project, setup};

/// The first is for the second to stand beside: this machine measures it too.
const CONNECTIONS: [u64; 2] = [10_000, 50_000];
/// What the kernel may take of this machine's memory, as it comes to need it.
const MEMORY: &str = "4G";
/// Pairs that talk while all the others say nothing.
const PAIRS: &str = "100";
/// What the script says of a step, and of a figure.
const STEP: &str = "measured: ";
const FIGURES: &str = "figures: ";

/// For each number of connections what one that says nothing takes, and what a message costs beside them.
pub(super) fn measure(programs: &Programs, seconds: u64) -> Result<Value> {
    setup::own_kernel()?;
    let folder = tempfile::tempdir_in(project::target_dir())?;
    let (script, data) = (folder.path().join("init"), folder.path().join("data"));
    std::fs::create_dir(&data)?;
    std::fs::write(&script, init(programs, &data, seconds))?;
    let script = script.to_str().context("a path that is no text")?;
    ensure!(
        !script.contains(char::is_whitespace),
        "a kernel's arguments have no spaces, and {script} has"
    );
    let mut command = Command::new("linux.uml");
    command
        .args(["rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
        .args(["con=null", "con0=null,fd:1"])
        .arg(format!("mem={MEMORY}"))
        .args(["init=/bin/sh", "--", script])
        // Its memory is a file there.
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    eprintln!("50,000 connections take a kernel of their own, and some minutes");
    let kernel = command
        .spawn()
        .with_context(|| format!("`{}` does not start", process::shown(&command)))?;
    let mut kernel = Kernel(kernel);
    let console = kernel.0.stdout.take().context("no console")?;
    let (mut figures, mut other) = (Vec::new(), String::new());
    for line in BufReader::new(console).lines() {
        let line = line?;
        if let Some(step) = line.trim_end().strip_prefix(STEP) {
            eprintln!("measured: {step}, in a kernel of their own");
        } else if let Some(of) = line.trim_end().strip_prefix(FIGURES) {
            figures.push(serde_json::from_str(of).with_context(|| format!("no figures: {of}"))?);
        } else {
            other += &line;
            other.push('\n');
        }
    }
    ensure!(
        figures.len() == CONNECTIONS.len(),
        "the kernel of its own gave no figures:\n{}",
        process::tail(&other, 20)
    );
    Ok(Value::Array(figures))
}

/// Ended with this handle, if it has not ended by itself.
struct Kernel(Child);

impl Drop for Kernel {
    fn drop(&mut self) {
        // By this signal it ends its own processes first.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// What the kernel does: it ends when this is done, or has failed.
fn init(programs: &Programs, data: &Path, seconds: u64) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display());
    let (relay, generator) = (quoted(&programs.relay), quoted(&programs.generator));
    let data = quoted(data);
    let bounds = server::BOUNDS.join(" ");
    let steps = CONNECTIONS.map(|n| n.to_string()).join(" ");
    format!(
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
mount -t tmpfs tmpfs {data}
cd {data}
echo 1000000 > /proc/sys/fs/nr_open
echo '1024 65001' > /proc/sys/net/ipv4/ip_local_port_range
ulimit -n 200000
ip link set lo up
# Whatever hangs.
(sleep 3600; echo o > /proc/sysrq-trigger) &

# Until a file has a line, or the process is gone.
await() {{
    while ! grep -q . \"$1\"; do
        kill -0 $2 || exit
        sleep 1
    done
}}

for connections in {steps}; do
    at=$PWD/$connections
    {relay} --listen 127.0.0.1:0 --log error --data \"$at\" {bounds} > \"$at.url\" &
    relay=$!
    await \"$at.url\" $relay
    url=$(head -n 1 \"$at.url\")
    mkfifo \"$at.hold\"
    {generator} idle --hold --first 1000000 --connections $connections --to \"$url\" --pid $relay \\
        < \"$at.hold\" > \"$at.idle\" &
    idle=$!
    exec 3> \"$at.hold\"
    await \"$at.idle\" $idle
    echo \"{STEP}$connections connections that say nothing\"
    pairs=$({generator} pairs --pairs {PAIRS} --window 8 --seconds {seconds} --to \"$url\" --pid $relay) || exit
    echo \"{STEP}messages beside them\"
    echo \"{FIGURES}{{\\\"connections\\\":$connections,\\\"idle\\\":$(cat \"$at.idle\"),\\\"pairs\\\":$pairs}}\"
    exec 3>&-
    wait $idle
    kill $relay
    wait $relay
done
"
    )
}

/// The figures for people.
pub(super) fn table(figures: &Value) {
    println!(
        "\n| connections that say nothing, in a kernel of their own | each takes | CPU of the relay per message of {PAIRS} pairs beside them |"
    );
    println!("| ---: | ---: | ---: |");
    for of in figures.as_array().into_iter().flatten() {
        println!(
            "| {} | {:.0} bytes | {:.1} µs |",
            of["connections"],
            of["idle"]["bytes_each"].as_f64().unwrap_or(f64::NAN),
            of["pairs"]["cpu_ns_per_message"]
                .as_f64()
                .unwrap_or(f64::NAN)
                / 1e3,
        );
    }
}
