//! The limits that a change may not exceed.

use anyhow::{Context, Result, ensure};

use super::measure::{CORE, Sizes};

/// One limit on one figure of one target.
pub(super) struct Limit {
    pub(super) name: &'static str,
    target: &'static str,
    figure: fn(&Sizes) -> Option<u32>,
    most: u32,
    unit: &'static str,
}

const CORTEX_M4: &str = "thumbv7em-none-eabihf";
const CORTEX_M0: &str = "thumbv6m-none-eabi";

const BYTES: &str = "bytes";

/// Raising a number here is a decision: say why in the commit.
///
/// The flash limits leave a tenth above what is measured with rustup's targets, because another
/// compiler (Debian's, with `core` built from source) lays the same code out larger.
pub(super) const LIMITS: [Limit; 8] = [
    Limit {
        name: "flash of link and encryption, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get(CORE).copied(),
        most: 72 * 1024,
        unit: BYTES,
    },
    Limit {
        name: "flash of link and encryption, Cortex-M0",
        target: CORTEX_M0,
        figure: |sizes| sizes.flash.get(CORE).copied(),
        most: 76 * 1024,
        unit: BYTES,
    },
    Limit {
        name: "flash of a whole endpoint, Cortex-M4",
        target: CORTEX_M4,
        figure: |sizes| sizes.flash.get("endpoint").copied(),
        most: 100 * 1024,
        unit: BYTES,
    },
    Limit {
        name: "RAM of a session that keeps 32 keys",
        target: CORTEX_M4,
        figure: |sizes| sizes.facts.get("ram_per_session_with_device_skip").copied(),
        most: 1638,
        unit: BYTES,
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
        unit: BYTES,
    },
    Limit {
        name: "static RAM of the core",
        target: CORTEX_M4,
        figure: |sizes| Some(sizes.static_ram),
        most: 0,
        unit: BYTES,
    },
    Limit {
        // All of them are arithmetic of dependencies whose checks the optimiser could not remove.
        name: "functions that can panic",
        target: CORTEX_M4,
        figure: |sizes| u32::try_from(sizes.can_panic.len()).ok(),
        most: 24,
        unit: "functions",
    },
    Limit {
        // AES, GCM and HKDF of RustCrypto; a path of the core's own would be one more.
        name: "functions that can panic, software curve aside",
        target: CORTEX_M4,
        figure: |sizes| u32::try_from(sizes.can_panic_without_curve.len()).ok(),
        most: 6,
        unit: "functions",
    },
];

impl Limit {
    pub(super) fn holds(&self, all: &[Sizes]) -> Result<String> {
        let value = all
            .iter()
            .find(|sizes| sizes.target == self.target)
            .and_then(self.figure)
            .with_context(|| format!("not measured on {}", self.target))?;
        let Self { most, unit, .. } = self;
        ensure!(value <= *most, "{value} {unit}, and the limit is {most}");
        Ok(format!("{value} of {most} {unit}"))
    }
}
