//! `cargo xtask demo`: the main job, told in a dozen lines.
//!
//! A relay, two people, one of them away, the relay killed in between; then what its disk holds.

mod binaries;
mod child;
mod disk;
mod person;
mod relay;

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use person::Person;
use relay::Relay;

const QUESTION: &str = "The spare key is under the third flowerpot. Tell nobody.";
const ANSWER: &str = "Found it. Watering the plants, too.";

/// The command.
pub(crate) fn run() -> Result<()> {
    let binaries = binaries::build()?;
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

    relay.kill_and_restart()?;
    tell(
        "relay",
        "was killed with SIGKILL and started again on the same store",
    );

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
    relay.stop()?;

    let secrets = [QUESTION, ANSWER, "flowerpot", "alice", "carol"];
    let found = disk::search(relay.data(), &secrets)?;
    ensure!(
        found.hits.is_empty(),
        "the relay's disk holds readable text:\n{}",
        found.hits.join("\n")
    );
    tell(
        "disk",
        &format!(
            "the relay's {} files, {} bytes, searched for both texts and both names:\nnothing",
            found.files, found.bytes
        ),
    );
    println!(
        "\nDone in {:.1} s. The temporary folder is gone.",
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

/// One event: who, and what happened; further lines stand below the first.
fn tell(who: &str, what: &str) {
    let mut who = who;
    for line in what.lines() {
        println!("{who:<8}{line}");
        who = "";
    }
}
