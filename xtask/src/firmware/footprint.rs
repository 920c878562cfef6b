//! What a board's image takes, and what it may take.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{BOARDS, Backend, Board, Image, build};
use crate::setup;
use crate::size::{Elf, OTHER_COMPILER, TOLERANCE};
use crate::toolchain::Embedded;

/// Memory that an image takes for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Bytes of flash.
    pub(crate) flash: u32,
    /// Bytes of RAM, the stack aside.
    pub(crate) ram: u32,
    /// Bytes of RAM that the linker script keeps for the stack.
    pub(crate) stack: u32,
}

/// What an image of the app took, by the board's name, with the portable curve and rustup's
/// compiler. Raising a number here is a decision: say why in the commit. (Invitations, a relay's new key and
/// being turned away took 3,176 bytes of flash and 80 of RAM, measured with Debian's compiler.)
const LIMITS: [(&str, Footprint); BOARDS.len()] = [
    (
        "mps2-an386",
        Footprint {
            flash: 196_548,
            ram: 30_136,
            stack: 10_240,
        },
    ),
    (
        "nucleo-h563zi",
        Footprint {
            flash: 201_948,
            ram: 38_092,
            stack: 10_240,
        },
    ),
    (
        "w5500-evb-pico2",
        Footprint {
            flash: 205_552,
            ram: 37_628,
            stack: 10_240,
        },
    ),
];

impl Footprint {
    /// What the image takes.
    pub(crate) fn of(image: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
        let elf = Elf::parse(bytes)?;
        let [start, end] = ["_stack_start", "_stack_end"].map(|name| {
            elf.address(name)
                .with_context(|| format!("the image has no {name}"))
        });
        Ok(Self {
            flash: elf.flash(""),
            ram: elf.static_ram(""),
            stack: start?.saturating_sub(end?),
        })
    }

    /// RAM with the stack.
    pub(crate) const fn whole_ram(self) -> u32 {
        self.ram + self.stack
    }

    /// Holds what the board's image takes against its limit.
    pub(crate) fn holds(self, board: Board) -> Result<String> {
        let (_, most) = LIMITS
            .iter()
            .find(|(name, _)| *name == board.name)
            .with_context(|| format!("no limit for {}", board.name))?;
        let ours = matches!(setup::embedded()?, Embedded::Rustup);
        let tolerance = if ours { TOLERANCE } else { OTHER_COMPILER };
        let mut told = Vec::new();
        for (what, value, most, tolerance) in [
            ("flash", self.flash, most.flash, tolerance),
            ("static RAM", self.ram, most.ram, TOLERANCE),
            ("stack", self.stack, most.stack, 0),
        ] {
            let most = most + most * tolerance / 100;
            ensure!(
                value <= most,
                "{what}: {value} bytes, and the limit is {most}"
            );
            told.push(format!("{what} {value} of {most}"));
        }
        Ok(told.join(", ") + " bytes")
    }
}

/// Builds every board's image, and tells what it takes.
pub(crate) fn footprints() -> Result<Vec<(Board, Footprint)>> {
    BOARDS
        .into_iter()
        .map(|board| {
            let image = build(board, Image::App, Backend::Portable)?;
            Ok((board, Footprint::of(&image)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_by_more_than_two_hundredths_is_told() {
        let (name, most) = LIMITS[0];
        let board = BOARDS.into_iter().find(|board| board.name == name);
        let board = board.expect("a board of that name");
        let flash = most.flash + most.flash / 5;
        assert!(most.holds(board).is_ok());
        assert!(Footprint { flash, ..most }.holds(board).is_err());
        let ram = most.ram + most.ram / 20;
        assert!(Footprint { ram, ..most }.holds(board).is_err());
        let stack = most.stack + 4;
        assert!(Footprint { stack, ..most }.holds(board).is_err());
    }

    #[test]
    fn every_board_has_its_limit() {
        for board in BOARDS {
            assert_eq!(LIMITS.iter().filter(|(n, _)| *n == board.name).count(), 1);
        }
    }
}
