//! The figures of one target.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{panics, probe};

/// How many of the largest symbols are listed.
const LARGEST: usize = 12;

/// What was measured for one target.
pub(super) struct Sizes {
    pub(super) target: &'static str,
    /// Flash of each probe image, the empty one subtracted.
    pub(super) flash: BTreeMap<&'static str, u32>,
    /// Static RAM of the device image: the core has none, so anything but 0 is a mistake.
    pub(super) static_ram: u32,
    /// Numbers that the core states about itself, in bytes.
    pub(super) facts: BTreeMap<String, u32>,
    /// The largest functions and tables of the device image.
    pub(super) largest: Vec<(u32, String)>,
    /// Functions of the device image that can still panic.
    pub(super) can_panic: panics::Panicking,
}

/// The images that are measured, with what each holds.
pub(super) const IMAGES: [(&str, &str); 2] = [
    (DEVICE, "link and end-to-end encryption"),
    (
        "text",
        "the same with text forms: bech32m addresses, safety numbers",
    ),
];

/// The image that the limits speak of.
pub(super) const DEVICE: &str = "device";

/// Reads the target's images, which must have been built.
pub(super) fn target(target: &'static str) -> Result<Sizes> {
    let empty = probe::image(target, "empty")?.flash(probe::FACTS);
    let mut flash = BTreeMap::new();
    for (name, _) in IMAGES {
        let all = probe::image(target, name)?.flash(probe::FACTS);
        flash.insert(name, all.saturating_sub(empty));
    }
    let device = probe::image(target, DEVICE)?;
    let facts = device
        .symbols
        .iter()
        .filter(|symbol| symbol.section == probe::FACTS && symbol.size == 4)
        .filter_map(|symbol| Some((symbol.name.clone(), device.number(symbol)?)))
        .collect();
    let mut largest: Vec<_> = device
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
        static_ram: device.static_ram(probe::FACTS),
        facts,
        largest,
        can_panic: panics::reaching(&device)?,
    })
}
