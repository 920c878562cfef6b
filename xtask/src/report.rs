//! Steps with their time, and the closing line that counts them.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

/// Tests that a test runner reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Counts {
    /// The plain form that any continuous integration reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// A run of steps. Later steps run even when an earlier one failed: one run shows everything.
pub(crate) struct Tally {
    counts: Counts,
    failures: Vec<String>,
    started: Instant,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            counts: Counts::default(),
            failures: Vec::new(),
            started: Instant::now(),
        }
    }

    /// A step that holds or does not; it counts as one. The work returns a note for its line.
    pub(crate) fn check(&mut self, name: &str, work: impl FnOnce() -> Result<String>) {
        let started = begin(name);
        match work() {
            Ok(note) => {
                self.counts.passed += 1;
                end("ok", started, &note);
            }
            Err(error) => self.fail(name, started, &error),
        }
    }

    /// A step that runs tests: each of them counts, and the step itself only if it went wrong
    /// without a failed test (it did not compile, or ran none).
    pub(crate) fn tests(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<(Counts, Result<()>)>,
    ) {
        let started = begin(name);
        let (counts, outcome) = work().unwrap_or_else(|error| (Counts::default(), Err(error)));
        self.counts += counts;
        match outcome {
            Ok(()) => end("ok", started, &counts.to_string()),
            Err(error) => {
                self.fail(name, started, &error);
                if counts.failed > 0 {
                    self.counts.failed -= 1;
                }
            }
        }
    }

    /// Prints what failed and, last of all, the closing line.
    pub(crate) fn close(self) -> ExitCode {
        println!("\n{:.0} s in all", self.started.elapsed().as_secs_f32());
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("{}", self.counts);
        if self.counts.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn fail(&mut self, name: &str, started: Instant, error: &anyhow::Error) {
        self.counts.failed += 1;
        self.failures.push(name.to_owned());
        end("FAILED", started, "");
        for line in format!("{error:#}").lines() {
            println!("    {line}");
        }
    }
}

fn begin(name: &str) -> Instant {
    print!("{name:<48}");
    // The name must show before a step of minutes begins; a closed pipe is the reader's choice.
    let _ = std::io::stdout().flush();
    Instant::now()
}

fn end(word: &str, started: Instant, note: &str) {
    println!(
        "{}",
        format!(
            "{word:<6} {:>6.1} s  {note}",
            started.elapsed().as_secs_f32()
        )
        .trim_end()
    );
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_closing_line_is_the_plain_form() {
        assert_eq!(
            Counts {
                passed: 12,
                failed: 0
            }
            .to_string(),
            "12 passed, 0 failed"
        );
    }

    #[test]
    fn tests_and_checks_add_up() {
        let mut tally = Tally::new();
        tally.check("a check", || Ok(String::new()));
        tally.check("a broken check", || Err(anyhow!("no")));
        tally.tests("tests", || {
            Ok((
                Counts {
                    passed: 5,
                    failed: 2,
                },
                Err(anyhow!("two")),
            ))
        });
        tally.tests("tests that do not compile", || Err(anyhow!("no")));
        assert_eq!(
            tally.counts,
            Counts {
                passed: 6,
                failed: 4
            }
        );
        assert_eq!(tally.close(), ExitCode::FAILURE);
    }
}
