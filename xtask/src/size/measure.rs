//! The figures of one target.

use std::collections::BTreeMap;

use anyhow::Result;

use super::elf::{Elf, Symbol};
use super::{panics, probe};

/// How many of the largest symbols are listed.
const LARGEST: usize = 12;

/// What was measured for one target.
pub(super) struct Sizes {
    pub(super) target: &'static str,
    /// Flash of each probe image, the empty one subtracted.
    pub(super) flash: BTreeMap<&'static str, u32>,
    /// Static RAM: the core has none, so anything but 0 is a mistake.
    pub(super) static_ram: u32,
    /// Numbers that the core states about itself, in bytes.
    pub(super) facts: BTreeMap<String, u32>,
    /// The largest functions and tables of the core image.
    pub(super) largest: Vec<(u32, String)>,
    /// Functions of any image that can still panic.
    pub(super) can_panic: panics::Panicking,
    /// Those that remain when the software curve is not linked.
    pub(super) can_panic_without_curve: panics::Panicking,
}

/// The image that the limits speak of.
pub(super) const CORE: &str = "protocol";

/// The same for a chip that does the curve.
pub(super) const CORE_ACCELERATED: &str = "protocol-accelerated";

/// The image without software P-256: what can panic there is ours, or AES and HKDF.
pub(super) const ACCELERATED: &str = "accelerated";

/// The images that are measured, with what each holds.
pub(super) const IMAGES: [(&str, &str); 5] = [
    (CORE, "link and end-to-end encryption"),
    (
        CORE_ACCELERATED,
        "link and end-to-end encryption, the curve left to a chip's accelerator",
    ),
    (
        "endpoint",
        "a whole endpoint over a storage: sessions, restarts, outbox, prekeys, records",
    ),
    (
        ACCELERATED,
        "the same endpoint, the curve left to a chip's accelerator",
    ),
    (
        "text",
        "link and end-to-end encryption with text forms: bech32m, safety numbers",
    ),
];

/// Reads the target's images, which must have been built.
pub(super) fn target(target: &'static str) -> Result<Sizes> {
    let empty = probe::image(target, "empty")?.flash(probe::FACTS);
    let (mut flash, mut facts, mut static_ram) = (BTreeMap::new(), BTreeMap::new(), 0);
    let (mut largest, mut can_panic) = (Vec::new(), panics::Panicking::new());
    let mut can_panic_without_curve = panics::Panicking::new();
    for (name, _) in IMAGES {
        let image = probe::image(target, name)?;
        flash.insert(name, image.flash(probe::FACTS).saturating_sub(empty));
        static_ram = static_ram.max(image.static_ram(probe::FACTS));
        facts.extend(numbers(&image));
        let panicking = panics::reaching(&image)?;
        if name == ACCELERATED {
            can_panic_without_curve = panicking.clone();
        }
        can_panic.extend(panicking);
        if name == CORE {
            largest = symbols(&image);
        }
    }
    Ok(Sizes {
        target,
        flash,
        static_ram,
        facts,
        largest,
        can_panic,
        can_panic_without_curve,
    })
}

/// What the image states about itself.
fn numbers(image: &Elf) -> impl Iterator<Item = (String, u32)> {
    let stated = |symbol: &&Symbol| symbol.section == probe::FACTS && symbol.size == 4;
    image
        .symbols
        .iter()
        .filter(stated)
        .filter_map(|symbol| Some((symbol.name.clone(), image.number(symbol)?)))
}

/// The largest functions and tables, largest first.
fn symbols(image: &Elf) -> Vec<(u32, String)> {
    let mut all: Vec<_> = image
        .symbols
        .iter()
        .filter(|symbol| symbol.size > 0 && symbol.section != probe::FACTS)
        .map(|symbol| (symbol.size, panics::demangled(&symbol.name)))
        .collect();
    all.sort_by(|a, b| b.cmp(a));
    all.truncate(LARGEST);
    all
}
