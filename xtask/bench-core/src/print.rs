//! The report, for people and for programs.

use serde_json::{Value, json};

use crate::clock::{Figures, ROUNDS, names};

/// What is measured, in one sentence: it stands above every figure.
const WHAT: &str = "medians of interleaved rounds in one process, release profile; bytes in, bytes \
                    out; state encoded where the core demands that it be stored, nothing written \
                    to a disk; our start verifies the bundle's signature, Olm's leaves that to \
                    its caller";

/// One operation on both sides, nanoseconds.
pub(crate) struct Row {
    name: String,
    ours: f64,
    theirs: f64,
}

/// Medians, and the sums that the aims speak of.
pub(crate) fn rows(mut ours: Figures, mut theirs: Figures) -> Vec<Row> {
    let pairs = ours.0.iter_mut().zip(&mut theirs.0);
    let mut rows: Vec<Row> = names()
        .into_iter()
        .zip(pairs)
        .map(|(name, (ours, theirs))| Row {
            name,
            ours: ours.median(),
            theirs: theirs.median(),
        })
        .collect();
    for body in crate::clock::BODIES {
        let size = format!(" {body} B");
        let parts = rows.iter().filter(|row| row.name.ends_with(&size));
        let (ours, theirs) = parts.fold((0.0, 0.0), |(ours, theirs), row| {
            (ours + row.ours, theirs + row.theirs)
        });
        rows.push(Row {
            name: format!("seal and open{size} together"),
            ours,
            theirs,
        });
    }
    rows
}

/// A table for people.
pub(crate) fn table(rows: &[Row]) {
    println!("{WHAT} ({ROUNDS} rounds).\n");
    println!(
        "{:<34} {:>12} {:>12} {:>8}",
        "microseconds", "hushwire", "vodozemac", "faster"
    );
    for Row { name, ours, theirs } in rows {
        println!(
            "{name:<34} {:>12.1} {:>12.1} {:>7.2}x",
            ours / 1000.0,
            theirs / 1000.0,
            theirs / ours
        );
    }
}

/// One object for programs.
pub(crate) fn json(rows: &[Row]) -> Value {
    let operations: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "operation": row.name,
                "hushwire_ns": row.ours.round(),
                "vodozemac_ns": row.theirs.round(),
                "times_faster": (row.theirs / row.ours * 100.0).round() / 100.0,
            })
        })
        .collect();
    json!({ "what": WHAT, "rounds": ROUNDS, "operations": operations })
}
