//! What is wanted of the device (DESIGN, budgets), and whether it is so. A missed aim fails nothing:
//! the README says by how much and why.

use super::figures::Figures;
use super::probe::{ASSEMBLY, PORTABLE, Profile, SIZE, SPEED};

/// One aim.
pub(super) struct Aim {
    pub(super) what: &'static str,
    profile: &'static Profile,
    backend: &'static str,
    pub(super) most: u32,
    pub(super) unit: &'static str,
    figure: fn(&Figures) -> Option<u32>,
}

const INSTRUCTIONS: &str = "instructions";
const BYTES: &str = "bytes";

/// Instructions are aimed at with opt-level 3, stack with both profiles.
pub(super) const AIMS: [Aim; 8] = [
    Aim {
        what: "start as initiator, portable",
        profile: &SPEED,
        backend: PORTABLE,
        most: 48_000_000,
        unit: INSTRUCTIONS,
        figure: |of| instructions(of, "start_initiator"),
    },
    Aim {
        what: "the same without a one-time prekey",
        profile: &SPEED,
        backend: PORTABLE,
        most: 48_000_000,
        unit: INSTRUCTIONS,
        figure: |of| instructions(of, "start_initiator_without"),
    },
    Aim {
        what: "start as initiator, assembly",
        profile: &SPEED,
        backend: ASSEMBLY,
        most: 7_000_000,
        unit: INSTRUCTIONS,
        figure: |of| instructions(of, "start_initiator"),
    },
    Aim {
        what: "seal 256 bytes",
        profile: &SPEED,
        backend: PORTABLE,
        most: 260_000,
        unit: INSTRUCTIONS,
        figure: |of| instructions(of, "seal_256"),
    },
    Aim {
        what: "open 256 bytes",
        profile: &SPEED,
        backend: PORTABLE,
        most: 260_000,
        unit: INSTRUCTIONS,
        figure: |of| instructions(of, "open_256"),
    },
    Aim {
        what: "peak stack of any operation, portable",
        profile: &SPEED,
        backend: PORTABLE,
        most: 8 * 1024,
        unit: BYTES,
        figure: deepest,
    },
    Aim {
        what: "the same, compiled for size",
        profile: &SIZE,
        backend: PORTABLE,
        most: 8 * 1024,
        unit: BYTES,
        figure: deepest,
    },
    Aim {
        what: "peak stack of any operation, assembly",
        profile: &SPEED,
        backend: ASSEMBLY,
        most: 8 * 1024,
        unit: BYTES,
        figure: deepest,
    },
];

fn instructions(of: &Figures, operation: &str) -> Option<u32> {
    of.of(operation).map(|cost| cost.instructions)
}

fn deepest(of: &Figures) -> Option<u32> {
    of.deepest().map(|(_, cost)| cost.stack)
}

impl Aim {
    /// What was measured.
    pub(super) fn value(&self, all: &[Figures]) -> Option<u32> {
        all.iter()
            .find(|of| {
                of.image.profile.name == self.profile.name && of.image.backend == self.backend
            })
            .and_then(self.figure)
    }
}
