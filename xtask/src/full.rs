//! `cargo xtask full`: what `test` runs in small every day, run as large as it is meant to be.
//!
//! A row is a few tests, the settings that make them large, and what they print.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::report::{Counts, Tally};
use crate::test::{counts, runner};
use crate::{process, setup};

struct Row {
    name: &'static str,
    /// The binaries that have its tests.
    binaries: &'static [&'static str],
    /// What its tests' names begin with.
    tests: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// They are not run every day at all: they need root and loop devices.
    rare: bool,
    /// By programs that are as fast as those that people run.
    release: bool,
}

const fn row(
    name: &'static str,
    binaries: &'static [&'static str],
    tests: &'static str,
    settings: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        binaries,
        tests,
        settings,
        rare: false,
        release: false,
    }
}

/// Short ones first: H8 and R1 take most of the time.
const ROWS: &[Row] = &[
    row("C4", &["c4_model"], "c4_", &[("HUSHWIRE_OPS", "1000000")]),
    row(
        "C5",
        &["c5_untouched"],
        "",
        &[("HUSHWIRE_FORGERIES", "1000000")],
    ),
    row(
        "A5",
        &["attacks"],
        "a5_replay_reorder::",
        &[("HUSHWIRE_A5", "100000")],
    ),
    row(
        "F1",
        &["flash"],
        "f1_",
        &[("HUSHWIRE_OPS", "100000"), ("HUSHWIRE_F1", "all")],
    ),
    row("F4", &["flash"], "f4_", &[("HUSHWIRE_F4", "10000")]),
    row("F9", &["flash"], "f9_", &[("HUSHWIRE_F9", "10000")]),
    row(
        "R2",
        &["store"],
        "power::r2_",
        &[("HUSHWIRE_POWER_CUT_MESSAGES", "60")],
    ),
    Row {
        rare: true,
        ..row("R4", &["process"], "real_disk::r4_real_disk", &[])
    },
    row(
        "H1",
        &["hostile"],
        "h1_",
        &[("HUSHWIRE_FLOOD_BYTES", "100000000")],
    ),
    row(
        "H3",
        &["hostile"],
        "h3_",
        &[("HUSHWIRE_SLOW_CONNECTIONS", "2000")],
    ),
    row("H4", &["hostile"], "h4_", &[("HUSHWIRE_DEAF", "200")]),
    row("H5", &["hostile"], "h5_", &[("HUSHWIRE_CHURN", "60000")]),
    row("H6", &["hostile"], "h6_", &[("HUSHWIRE_RESET_STEP", "1")]),
    row("H7", &["hostile"], "h7_", &[("HUSHWIRE_FILE_SIZES", "2")]),
    row(
        "H10",
        &["hostile"],
        "h10_",
        &[("HUSHWIRE_FRAMES", "10000000")],
    ),
    row("R7", &["simulation"], "r7_", &[("HUSHWIRE_SEEDS", "1000")]),
    row(
        "cluster",
        &["cluster"],
        "kills::",
        &[("HUSHWIRE_CLUSTER_KILLS", "100")],
    ),
    // The same on servers of today.
    row("NATS", &["cluster"], "", &[("HUSHWIRE_NATS", "today")]),
    // Elsewhere there is no Linux as a program, and no test of it.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    row("power", &["machine"], "power::", &[("HUSHWIRE_CUTS", "25")]),
    Row {
        release: true,
        ..row(
            "H8",
            &["hostile"],
            "h8_",
            &[("HUSHWIRE_SOAK_SECONDS", "600")],
        )
    },
    row("R1", &["process"], "r1_", &[("HUSHWIRE_KILLS", "500")]),
];

/// The command, for the rows with these names, or for all.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no row {unknown}; there are {}", known.join(", "));
    }
    setup::relay_tests()?;
    let mut tally = Tally::new();
    for row in ROWS {
        if names.is_empty() || names.iter().any(|name| name == row.name) {
            let mut printed = String::new();
            tally.tests(row.name, || row.run(&mut printed));
            for line in said(&printed) {
                println!("    {line}");
            }
        }
    }
    Ok(tally.close())
}

impl Row {
    fn run(&self, printed: &mut String) -> Result<(Counts, Result<()>)> {
        let mut command = process::cargo();
        command.args(["test", "--no-fail-fast"]);
        if self.release {
            command.arg("--release");
        }
        for binary in self.binaries {
            command.args(["--test", binary]);
        }
        // One after the other: several of them measure memory or a machine's time.
        command.args(["--", "--show-output", "--test-threads", "1"]);
        if self.rare {
            command.arg("--ignored");
        }
        command.arg(self.tests).envs(self.settings.iter().copied());
        let logged = process::logged(&mut command, &format!("full {}", self.name))?;
        let counts = counts::of_cargo_test(&logged.text);
        if logged.status.success() && counts.passed == 0 {
            bail!("no test ran; see {}", logged.log.display());
        }
        let outcome = runner::outcome(&logged);
        *printed = logged.text;
        Ok((counts, outcome))
    }
}

/// What the tests that passed printed, without what the runner did.
fn said(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut is_output = false;
    for line in text.lines() {
        if line.starts_with("---- ") && line.ends_with(" stdout ----") {
            is_output = true;
        } else if matches!(line, "successes:" | "failures:") {
            is_output = false;
        } else if is_output && !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tests_print_is_shown() {
        let text = "running 1 test\ntest h3 ... ok\n\nsuccesses:\n\n---- h3 stdout ----\n\
                    h3: ratio 1\n\n\nsuccesses:\n    h3\n\ntest result: ok. 1 passed\n";
        assert_eq!(said(text), ["h3: ratio 1"]);
    }

    #[test]
    fn a_name_that_is_none_is_told_with_those_that_are() {
        let error = run(&["H99".to_owned()]).unwrap_err().to_string();
        assert!(
            error.contains("no row H99") && error.contains("H10"),
            "{error}"
        );
    }
}
