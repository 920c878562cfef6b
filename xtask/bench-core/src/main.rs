//! Times hushwire-core beside vodozemac, in turn, in one process: `cargo xtask bench core`.

mod clock;
mod olm;
mod subject;

use serde_json::json;

use clock::{Figures, ROUNDS, names};
use olm::Olm;
use subject::Subject as _;

fn main() {
    let as_json = std::env::args().any(|argument| argument == "--json");
    let mut theirs = Figures::new();
    let mut their_conversation = Olm::conversation();
    for _ in 0..ROUNDS {
        theirs.round(&mut their_conversation);
    }
    let rows: Vec<(String, f64)> = names()
        .into_iter()
        .zip(theirs.0.iter_mut().map(|rounds| rounds.median()))
        .collect();
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, theirs)| json!({ "operation": name, "vodozemac_ns": theirs.round() }))
            .collect();
        println!("{:#}", json!({ "rounds": ROUNDS, "operations": rows }));
        return;
    }
    for (name, theirs) in rows {
        println!("{name:<34} {theirs:>12.0} ns");
    }
}
