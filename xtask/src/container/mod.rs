//! `cargo xtask container`: builds `host-relay/contrib/Containerfile`, runs the image as the file's
//! comment says, and uses it as people would.
//!
//! ```text
//!   crates (cargo vendor) ─────────┐
//!   bases (pulled, or stand-ins) ──┴─> image ──> Relay <── two people
//!                       podman: engine and storage of our own
//! ```
//!
//! `cargo xtask test` leaves it out: it takes minutes, and the right to run containers.

mod bases;
mod crates;
mod podman;
mod relay;

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hushwire_lab::{Binaries, Person};

use crate::{demo, project, setup};
use podman::Podman;
use relay::{Ports, Relay, Volume};

/// What is built, below the project's root.
const CONTAINERFILE: &str = "host-relay/contrib/Containerfile";
/// The image's name, as the file's comment has it.
const IMAGE: &str = "localhost/hushwire-relay";

/// The command.
pub(crate) fn run() -> Result<()> {
    setup::containers()?;
    let binaries = demo::binaries::build()?;
    let folder = project::target_dir().join("container");
    let podman = Podman::open(&folder)?;
    let stand_ins = bases::ensure(&podman, &folder)?;
    step("build the image", || build(&podman, &folder))?;
    serve(&podman, &binaries)?;
    println!(
        "\nThe image serves. It and its bases stay in {} for the next time.",
        folder.display()
    );
    if !stand_ins.is_empty() {
        println!(
            "Not covered: {} as docker.io has it; stand-ins took that place.",
            stand_ins.join(" and ")
        );
    }
    Ok(())
}

/// Builds the image anew. The note is its size.
fn build(podman: &Podman, folder: &Path) -> Result<((), String)> {
    let crates = format!("{}:/.cargo:ro", crates::vendored(folder)?.display());
    // Docker's format, for OCI's has no HEALTHCHECK. No network: all crates are in the volume.
    let words = ["--format=docker", "--network=none", "--volume", &crates];
    podman.build(&words, Path::new(CONTAINERFILE), IMAGE, &project::root())?;
    // The image that had the name before.
    podman.ask(&["image", "prune", "--force"])?;
    let size = podman.ask(&["image", "inspect", "--format={{.Size}}", IMAGE])?;
    let size: u64 = size.parse().context("podman tells no size")?;
    Ok(((), format!("{} MB", size / 1_000_000)))
}

/// Two people use the relay, over a stop and another start.
fn serve(podman: &Podman, binaries: &Binaries) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let volume = Volume::create(podman)?;
    let ports = Ports::free()?;
    let start = || {
        let relay = Relay::start(podman, &volume, ports)?;
        relay.wait_until_ready()?;
        let url = relay.url().to_owned();
        Ok((relay, url))
    };
    let mut relay = step("start, URL and /readyz", start)?;
    let url = relay.url().to_owned();
    step("its user, rights, files and health check", || {
        relay.inspect()
    })?;

    let (alice, carol) = step("two people exchange a message", || {
        let alice = Person::join(binaries, folder.path(), "alice", &url)?;
        let carol = Person::join(binaries, folder.path(), "carol", &url)?;
        alice.learn(&carol)?;
        carol.learn(&alice)?;
        exchange(&alice, &carol, "both are here")?;
        exchange(&carol, &alice, "so they are")?;
        Ok(((alice, carol), String::new()))
    })?;
    step("another message waits", || {
        Ok(((), alice.send("carol", "for later")?))
    })?;
    step("podman stop", || relay.stop())?;
    relay = step("start on the same volume", start)?;
    ensure!(
        relay.url() == url,
        "the relay came back as {}, and was {url}",
        relay.url()
    );
    step("the message that waited arrives", || {
        carol.listen()?.wait_for("for later")?;
        Ok(((), String::new()))
    })?;
    step("podman stop", || relay.stop())
}

/// `from` writes, `to` reads, and `from` sees the receipt.
fn exchange(from: &Person, to: &Person, text: &str) -> Result<()> {
    let mut reader = to.listen()?;
    from.send(to.name(), text)?;
    reader.wait_for(text)?;
    let _for_the_receipt = from.listen()?;
    from.wait_until_delivered(text)
}

/// Does one thing and prints it with its time; the work returns a note for its line.
fn step<T>(what: &str, work: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    print!("{what:<44}");
    // The name must show before minutes of work begin; a closed pipe is the reader's choice.
    let _ = std::io::stdout().flush();
    let started = Instant::now();
    let (value, note) = work().inspect_err(|_| println!("FAILED"))?;
    let seconds = started.elapsed().as_secs_f32();
    println!("{}", format!("{seconds:>6.1} s  {note}").trim_end());
    Ok(value)
}
