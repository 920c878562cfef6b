//! `cargo xtask demo`: the main job, told in a dozen lines.
//!
//! A relay, two people, one of them away, the relay killed in between; then a device that is
//! commanded and loses its power; and what the disks hold.
//! The names have five letters because three turn up in ciphertext by chance.

pub(crate) mod binaries;
mod device;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use hushwire_lab::{Found, Person, Relay};

const QUESTION: &str = "The spare key is under the third flowerpot. Tell nobody.";
const ANSWER: &str = "Found it. Watering the plants, too.";

/// The command. `host_only` leaves the device out.
pub(crate) fn run(host_only: bool) -> Result<()> {
    let binaries = binaries::build()?;
    let image = match host_only {
        true => None,
        false => Some(device::image()?),
    };
    let started = Instant::now();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;

    let mut relay = Relay::start(&binaries, &folder.path().join("relay"))?;
    tell(
        "relay",
        &format!(
            "listens on loopback, its store in a temporary folder\n{}",
            relay.url()
        ),
    );

    let alice = Person::join(&binaries, folder.path(), "alice", relay.url())?;
    let carol = Person::join(&binaries, folder.path(), "carol", relay.url())?;
    tell("alice", &format!("made her keys: {}", alice.address()));
    tell("carol", &format!("made her keys: {}", carol.address()));
    alice.learn(&carol)?;
    carol.learn(&alice)?;
    tell("both", "exchanged contact cards, and now carol goes away");

    let state = alice.send("carol", QUESTION)?;
    tell("alice", &format!("writes: \"{QUESTION}\"\nstate: {state}"));

    relay.kill()?;
    tell("relay", "is killed with SIGKILL while it keeps the message");
    tell("disk", &unreadable("the relay's disk", relay.data())?);
    relay.restart()?;
    tell("relay", "starts again on the same store");

    let mut at_carol = carol.listen()?;
    at_carol.wait_for(QUESTION)?;
    tell("carol", &format!("comes back and reads: \"{QUESTION}\""));
    carol.send("alice", ANSWER)?;
    tell("carol", &format!("answers: \"{ANSWER}\""));

    let mut at_alice = alice.listen()?;
    at_alice.wait_for(ANSWER)?;
    tell("alice", &format!("reads: \"{ANSWER}\""));
    alice.wait_until_delivered(QUESTION)?;
    tell(
        "alice",
        "sees the receipt, which only carol's device could make: delivered",
    );
    drop((at_alice, at_carol));
    if let Some(image) = image {
        let device = device::run(&image, folder.path(), &mut relay, &alice)?;
        let found = hushwire_lab::search_file(&device.flash(), &device::TEXTS)?;
        ensure!(found.hits.is_empty(), "{}", found.hits.join("\n"));
        tell(
            "disk",
            &format!(
                "the device's flash: {} bytes, neither text, no name",
                found.bytes
            ),
        );
    }
    relay.kill()?;
    tell("disk", &unreadable("the relay's disk", relay.data())?);
    tell("disk", &unreadable("alice's vault", alice.vault())?);
    tell("disk", &unreadable("carol's vault", carol.vault())?);
    folder
        .close()
        .context("cannot remove the temporary folder")?;
    println!(
        "\nDone in {:.1} s. The temporary folder is gone.",
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Searches everything below a folder for what only alice and carol may know.
fn unreadable(what: &str, folder: &Path) -> Result<String> {
    let found = hushwire_lab::search(folder, &[QUESTION, ANSWER, "flowerpot", "alice", "carol"])?;
    ensure!(
        found.hits.is_empty(),
        "{what} holds readable text:\n{}",
        found.hits.join("\n")
    );
    let Found { files, bytes, .. } = found;
    Ok(format!(
        "{what}: {files} files, {bytes} bytes, neither text, no name"
    ))
}

/// One event: who, and what happened; further lines stand below the first.
fn tell(who: &str, what: &str) {
    let mut who = who;
    for line in what.lines() {
        println!("{who:<8}{line}");
        who = "";
    }
}
