//! What an image says that its operations cost.

use anyhow::{Context, Result, ensure};

use super::emulator::{self, Clock};
use super::probe::{Image, M4};

/// One operation's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Exact to 40, the timer's tick.
    pub(super) instructions: u32,
    /// Bytes below the caller's frame, at the deepest.
    pub(super) stack: u32,
}

/// One image's operations, in the order in which it runs them.
pub(super) struct Figures {
    pub(super) image: &'static Image,
    pub(super) costs: Vec<(String, Cost)>,
}

impl Figures {
    pub(super) fn len(&self) -> usize {
        self.costs.len()
    }

    pub(super) fn of(&self, operation: &str) -> Option<Cost> {
        let mut all = self.costs.iter();
        all.find(|(name, _)| name == operation)
            .map(|(_, cost)| *cost)
    }

    /// The deepest operation.
    pub(super) fn deepest(&self) -> Option<&(String, Cost)> {
        self.costs.iter().max_by_key(|(_, cost)| cost.stack)
    }
}

/// What a loop of known length must count: the measure measured.
const CALIBRATION: (&str, u32) = ("two_million", 2_000_000);

/// Runs an image twice.
pub(super) fn of(image: &'static Image) -> Result<Figures> {
    let name = format!("device-{}-{}", image.profile.name, image.backend);
    let run = || parse(&emulator::run(&M4, &image.path(), &name, Clock::Counted)?);
    let costs = run()?;
    ensure!(costs == run()?, "{name} counts otherwise in a second run");
    let figures = Figures { image, costs };
    let (loops, expected) = CALIBRATION;
    let counted = figures.of(loops).context("no calibration")?.instructions;
    ensure!(
        counted.abs_diff(expected) <= 40,
        "{expected} instructions were counted as {counted}: QEMU's timer does not run as expected"
    );
    Ok(figures)
}

/// Lines `op NAME INSTRUCTIONS STACK`.
fn parse(text: &str) -> Result<Vec<(String, Cost)>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("op "));
    lines
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [name, instructions, stack] = words[..] else {
                anyhow::bail!("cannot read `{line}`");
            };
            let cost = Cost {
                instructions: instructions.parse()?,
                stack: stack.parse()?,
            };
            Ok((name.to_owned(), cost))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_passed_over() {
        let costs = parse("hello\nop seal_16 169640 3272\n").unwrap();
        let cost = Cost {
            instructions: 169_640,
            stack: 3272,
        };
        assert_eq!(costs, [("seal_16".to_owned(), cost)]);
        assert!(parse("op seal_16 many 3272").is_err());
        assert!(parse("op seal_16 1").is_err());
    }
}
