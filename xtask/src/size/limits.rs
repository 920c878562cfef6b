//! The limits that a change may not exceed.

use anyhow::{Context, Result, ensure};

use super::measure::{DEVICE, Sizes};

/// One limit on one figure of one target.
pub(super) struct Limit {
    pub(super) name: &'static str,
    target: &'static str,
    figure: fn(&Sizes) -> Option<u32>,
    most: u32,
}

/// Raising a number here is a decision: say why in the commit.
pub(super) const LIMITS: [Limit; 2] = [
    Limit {
        name: "flash of the core, Cortex-M4",
        target: "thumbv7em-none-eabihf",
        figure: |sizes| sizes.flash.get(DEVICE).copied(),
        most: 40 * 1024,
    },
    Limit {
        name: "static RAM of the core",
        target: "thumbv7em-none-eabihf",
        figure: |sizes| Some(sizes.static_ram),
        most: 0,
    },
];

impl Limit {
    pub(super) fn holds(&self, all: &[Sizes]) -> Result<String> {
        let value = all
            .iter()
            .find(|sizes| sizes.target == self.target)
            .and_then(self.figure)
            .with_context(|| format!("not measured on {}", self.target))?;
        ensure!(
            value <= self.most,
            "{value} bytes, and the limit is {}",
            self.most
        );
        Ok(format!("{value} of {} bytes", self.most))
    }
}
