//! The tests themselves: nextest where it is installed, else `cargo test`, which counts the same.

use std::process::Command;

use anyhow::{Result, anyhow, bail};

use super::counts;
use crate::process::{self, Logged, tail};
use crate::report::Counts;
use crate::setup;

/// Of these each starts three servers of its own, unless all of them share a process. nextest gives each test
/// one, so `cargo test` runs them.
const SHARE_A_CLUSTER: (&str, &str) = ("cluster", "logic::");

/// Unit and integration tests of the workspace's default members.
pub(super) fn tests() -> Result<(Counts, Result<()>)> {
    // Those that lack something fail, and the others are run all the same.
    let needs = setup::relay_tests();
    if process::on_path("cargo-nextest").is_none() {
        let all = ["--lib", "--bins", "--tests", "--examples"];
        let (counts, outcome) = cargo_test("tests", &all, &[])?;
        return Ok((counts, needs.and(outcome)));
    }
    let (mut counts, most) = nextest()?;
    let (binary, tests) = SHARE_A_CLUSTER;
    let (more, rest) = cargo_test("tests-on-a-cluster", &["--test", binary], &[tests])?;
    counts += more;
    Ok((counts, needs.and(most).and(rest)))
}

fn nextest() -> Result<(Counts, Result<()>)> {
    let (binary, tests) = SHARE_A_CLUSTER;
    let mut command = process::cargo();
    command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]);
    command.args(["--status-level", "fail", "--failure-output", "final"]);
    let others = format!("not (binary(={binary}) and test(/^{tests}/))");
    command.args(["--filterset", &others]);
    ran("tests", &mut command, counts::of_nextest)
}

fn cargo_test(log: &str, selection: &[&str], names: &[&str]) -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    command.args(["test", "--no-fail-fast"]);
    command.args(selection).arg("--").args(names);
    ran(log, &mut command, counts::of_cargo_test)
}

fn ran(
    log: &str,
    command: &mut Command,
    count: fn(&str) -> Counts,
) -> Result<(Counts, Result<()>)> {
    let logged = process::logged(command, log)?;
    let counts = count(&logged.text);
    if logged.status.success() && counts.passed == 0 {
        bail!("no test ran; see {}", logged.log.display());
    }
    Ok((counts, outcome(&logged)))
}

/// The examples in the documentation comments, which nextest does not run.
pub(super) fn doctests() -> Result<(Counts, Result<()>)> {
    let mut command = process::cargo();
    command.args(["test", "--doc", "--no-fail-fast"]);
    let logged = process::logged(&mut command, "doctests")?;
    Ok((counts::of_cargo_test(&logged.text), outcome(&logged)))
}

/// The names of failed tests, as either runner prints them.
fn failed_tests(text: &str) -> Vec<String> {
    let mut names: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| {
            let of_nextest = ["FAIL [", "TIMEOUT [", "SIG"]
                .iter()
                .any(|word| line.starts_with(word));
            of_nextest || (line.starts_with("test ") && line.ends_with("... FAILED"))
        })
        .map(str::to_owned)
        .collect();
    // Nextest names each failure when it happens, and again at the end.
    names.sort();
    names.dedup();
    names
}

pub(crate) fn outcome(logged: &Logged) -> Result<()> {
    if logged.status.success() {
        return Ok(());
    }
    let log = logged.log.display();
    Err(match failed_tests(&logged.text) {
        names if names.is_empty() => anyhow!("whole log in {log}:\n{}", tail(&logged.text, 60)),
        names => anyhow!("{}\nwhat each printed is in {log}", names.join("\n")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_named_once() {
        let nextest = "        FAIL [   0.4s] (1/2) core mail::a\n   Summary [ 1s]\n\
                               FAIL [   0.4s] (1/2) core mail::a\n";
        assert_eq!(failed_tests(nextest), ["FAIL [   0.4s] (1/2) core mail::a"]);
        assert_eq!(
            failed_tests("test a ... ok\ntest b ... FAILED\n"),
            ["test b ... FAILED"]
        );
        assert!(failed_tests("error: could not compile\n").is_empty());
    }
}
