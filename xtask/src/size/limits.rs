//! The limits that a change may not exceed.

use anyhow::{Context, Result, ensure};

use super::measure::{ACCELERATED, CORE, CORE_ACCELERATED, ENDPOINT, Sizes};

/// One limit on one figure of one target.
pub(super) struct Limit {
    pub(super) name: &'static str,
    target: &'static str,
    figure: fn(&Sizes) -> Option<u32>,
    most: u32,
    unit: Unit,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Bytes of flash: they may lie a little above what was measured.
    Flash,
    /// Bytes of RAM.
    Ram,
    Functions,
}

/// Hundredths that flash may lie above its limit.
pub(crate) const TOLERANCE: u32 = 2;
/// The same for Debian's compiler, with `core` built from source: it lays out the same code larger.
pub(crate) const OTHER_COMPILER: u32 = 10;

const CORTEX_M4: &str = "thumbv7em-none-eabihf";
const CORTEX_M0: &str = "thumbv6m-none-eabi";

/// What was measured with rustup's targets, and what RAM is allowed. Raising a number here is a
/// decision: say why in the commit.
pub(super) const LIMITS: [Limit; 10] = [
    Limit {
        name: "flash of link and encryption, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get(CORE).copied(),
        most: 60_042,
        unit: Unit::Flash,
    },
    Limit {
        name: "flash of link and encryption, curve aside, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get(CORE_ACCELERATED).copied(),
        most: 36_379,
        unit: Unit::Flash,
    },
    Limit {
        name: "flash of link and encryption, Cortex-M0",
        target: CORTEX_M0,
        figure: |sizes| sizes.flash.get(CORE).copied(),
        most: 65_308,
        unit: Unit::Flash,
    },
    Limit {
        name: "flash of a whole endpoint, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get(ENDPOINT).copied(),
        most: 81_984,
        unit: Unit::Flash,
    },
    Limit {
        name: "flash of a whole endpoint, curve aside, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get(ACCELERATED).copied(),
        most: 58_280,
        unit: Unit::Flash,
    },
    Limit {
        name: "RAM of a session that keeps 32 keys",
        target: CORTEX_M4,
        figure: |sizes| sizes.facts.get("ram_per_session_with_device_skip").copied(),
        most: 1638,
        unit: Unit::Ram,
    },
    Limit {
        name: "RAM of a device's endpoint",
        target: CORTEX_M4,
        figure: |sizes| {
            sizes
                .facts
                .get("ram_of_the_endpoint_with_8_prekeys")
                .copied()
        },
        most: 1591,
        unit: Unit::Ram,
    },
    Limit {
        name: "static RAM of the core",
        target: CORTEX_M4,
        figure: |sizes| Some(sizes.static_ram),
        most: 0,
        unit: Unit::Ram,
    },
    Limit {
        // All of them are arithmetic of dependencies whose checks the optimiser could not remove.
        name: "functions that can panic",
        target: CORTEX_M4,
        figure: |sizes| u32::try_from(sizes.can_panic.len()).ok(),
        most: 24,
        unit: Unit::Functions,
    },
    Limit {
        // AES, GCM, HMAC and HKDF of RustCrypto; a path of the core's own would be one more.
        name: "functions that can panic, software curve aside",
        target: CORTEX_M4,
        figure: |sizes| u32::try_from(sizes.can_panic_without_curve.len()).ok(),
        most: 7,
        unit: Unit::Functions,
    },
];

impl Limit {
    /// Holds the figures against the limit. `ours`: they are of the compiler that made the limits.
    pub(super) fn holds(&self, all: &[Sizes], ours: bool) -> Result<String> {
        let value = all
            .iter()
            .find(|sizes| sizes.target == self.target)
            .and_then(self.figure)
            .with_context(|| format!("not measured on {}", self.target))?;
        let (unit, tolerance) = match (self.unit, ours) {
            (Unit::Flash, true) => ("bytes", TOLERANCE),
            (Unit::Flash, false) => ("bytes", OTHER_COMPILER),
            (Unit::Ram, _) => ("bytes", 0),
            (Unit::Functions, _) => ("functions", 0),
        };
        let most = self.most + self.most * tolerance / 100;
        ensure!(value <= most, "{value} {unit}, and the limit is {most}");
        Ok(format!("{value} of {most} {unit}"))
    }
}
