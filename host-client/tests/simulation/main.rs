//! R7: endpoints and the relay on a simulated network with a simulated clock. Every seed is another
//! order of partitions, one-way breaks, held packets, lost packets and crashes; afterwards the
//! network heals, and every message has come to its application exactly once.
//!
//! ```text
//! person: core's Endpoint, power-losing storage ─┐               ┌─ relay: connection, logic, ledger,
//! person                                         ├─ turmoil TCP ─┤  redb on a disk whose cache is
//! person                                         ┘               └─ lost when the machine crashes
//! ```
//!
//! turmoil's TCP sends nothing again: a lost segment leaves a connection dead without a word, and
//! only time-outs find it. That is harder than the networks that there are.
//!
//! `HUSHWIRE_SEEDS=1000` is the full run; `HUSHWIRE_SEED=n` runs one again. Decisions and times come
//! from the seed; the link's ephemeral keys and the order within the relay's hash maps do not.

#[path = "../../../core-nostd/tests/common/mod.rs"]
mod common;
#[path = "../../../host-relay/tests/store/faulty_disk.rs"]
#[allow(dead_code, reason = "made for the store's own tests")]
mod faulty_disk;
mod link;
mod person;
mod relay;
mod weather;
mod world;

use world::Report;

const EVERYDAY: u64 = 24;

fn number(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok();
    given.map(|given| given.parse().expect("a number"))
}

#[test]
fn r7_simulated_network() {
    let seeds = match number("HUSHWIRE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HUSHWIRE_SEEDS").unwrap_or(EVERYDAY),
    };
    let count = seeds.end - seeds.start;
    let mut all = Report::default();
    for seed in seeds {
        let caught = std::panic::catch_unwind(|| world::run(seed));
        match caught {
            Ok(report) => all.add(&report),
            Err(panic) => {
                eprintln!("seed {seed}: HUSHWIRE_SEED={seed} runs it again");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("r7: {count} seeds: {all}");
    assert!(
        all.before_healing * 4 > all.promised,
        "nothing moves in bad weather: {all}"
    );
    if count >= 10 {
        assert!(
            all.faults.iter().all(|count| *count > 0),
            "a fault never came: {all}"
        );
    }
}
