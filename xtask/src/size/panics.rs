//! Which functions of an image can end in a panic.
//!
//! The probe's panic handler is never inlined, and the linker keeps the relocations. So a path to
//! a panic that survived optimisation shows as a chain of references that ends at the handler;
//! without such a chain the image would also link if the handler did not exist.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::elf::Elf;

/// A function that can panic, and the functions of `core` by which it would.
pub(crate) type Panicking = BTreeMap<String, BTreeSet<String>>;

/// The functions outside of `core::` that reach the panic handler directly, or through functions
/// of `core` that exist to panic.
pub(crate) fn reaching(elf: &Elf) -> Result<Panicking> {
    let mut callers: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for reference in elf.references()? {
        if let Some(from) = elf.holder(reference.from) {
            callers.entry(reference.to).or_default().insert(from);
        }
    }
    let is_handler = |name: &str| name.contains("rust_begin_unwind");
    let mut open: Vec<usize> = (0..elf.symbols.len())
        .filter(|at| is_handler(&elf.symbols[*at].name))
        .collect();
    let mut seen: BTreeSet<usize> = open.iter().copied().collect();
    let mut ours = Panicking::new();
    while let Some(at) = open.pop() {
        for caller in callers.get(&at).into_iter().flatten() {
            let name = demangled(&elf.symbols[*caller].name);
            if only_panics(&name) {
                if seen.insert(*caller) {
                    open.push(*caller);
                }
            } else {
                ours.entry(name)
                    .or_default()
                    .insert(demangled(&elf.symbols[at].name));
            }
        }
    }
    Ok(ours)
}

/// Functions of `core` whose purpose is to panic; their callers are the ones to name.
fn only_panics(name: &str) -> bool {
    name.starts_with("core::")
        && ["panic", "_fail", "expect", "unwrap", "copy_from_slice"]
            .iter()
            .any(|word| name.contains(word))
}

/// A symbol as Rust source names it, without its hash.
pub(super) fn demangled(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_only_panic_are_told_from_others() {
        assert!(only_panics("core::panicking::panic_bounds_check"));
        assert!(only_panics("core::slice::index::slice_index_fail"));
        assert!(only_panics("core::result::unwrap_failed"));
        assert!(!only_panics("hushwire_core::panicky"));
        assert!(!only_panics("core::fmt::write"));
    }
}
