//! The figures of one target.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{panics, probe};

/// How many of the largest symbols are listed.
const LARGEST: usize = 12;

/// What was measured for one target.
pub(super) struct Sizes {
    pub(super) target: &'static str,
    /// Flash of each probe image, the empty one subtracted.
    pub(super) flash: BTreeMap<&'static str, u32>,
    /// Static RAM of the full image: the core has none, so anything but 0 is a mistake.
    pub(super) static_ram: u32,
    /// Numbers that the core states about itself, in bytes.
    pub(super) facts: BTreeMap<String, u32>,
    /// The largest functions and tables of the full image.
    pub(super) largest: Vec<(u32, String)>,
    /// Functions of the full image that can still panic.
    pub(super) can_panic: BTreeSet<String>,
}

/// The images that are measured, with what each holds.
pub(super) const IMAGES: [(&str, &str); 1] = [("full", "link and end-to-end encryption")];

/// Reads the target's images, which must have been built.
pub(super) fn target(target: &'static str) -> Result<Sizes> {
    let empty = probe::image(target, "empty")?.flash(probe::FACTS);
    let mut flash = BTreeMap::new();
    for (name, _) in IMAGES {
        let all = probe::image(target, name)?.flash(probe::FACTS);
        flash.insert(name, all.saturating_sub(empty));
    }
    let full = probe::image(target, "full")?;
    let facts = full
        .symbols
        .iter()
        .filter(|symbol| symbol.section == probe::FACTS && symbol.size == 4)
        .filter_map(|symbol| Some((symbol.name.clone(), full.number(symbol)?)))
        .collect();
    let mut largest: Vec<_> = full
        .symbols
        .iter()
        .filter(|symbol| symbol.size > 0 && symbol.section != probe::FACTS)
        .map(|symbol| (symbol.size, panics::demangled(&symbol.name)))
        .collect();
    largest.sort_by(|a, b| b.cmp(a));
    largest.truncate(LARGEST);
    Ok(Sizes {
        target,
        flash,
        static_ram: full.static_ram(probe::FACTS),
        facts,
        largest,
        can_panic: panics::reaching(&full)?,
    })
}
