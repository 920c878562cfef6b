//! The report, for people and for programs.

use serde_json::{Value, json};

use super::measure::{IMAGES, Sizes};
use super::panics::Panicking;
use crate::firmware::{Board, Footprint};

/// As `xtask/size-probe/Cargo.toml` says.
const OPT_LEVEL: &str = "s, AES 3, the caller z";

/// Tables for people.
pub(super) fn table(all: &[Sizes], toolchain: &str) {
    println!(
        "Flash in bytes, opt-level {OPT_LEVEL}, whole-program optimised, empty image subtracted"
    );
    println!("({toolchain})\n");
    for (image, holds) in IMAGES {
        println!("{holds}:");
        for sizes in all {
            let flash = sizes.flash.get(image).copied().unwrap_or(0);
            println!(
                "  {:<30} {flash:>7}  = {:.1} KiB",
                sizes.target,
                f64::from(flash) / 1024.0
            );
        }
    }
    let Some(one) = all
        .iter()
        .find(|sizes| sizes.target.starts_with("thumbv7em"))
    else {
        return;
    };
    println!("\nRAM and sizes on the wire, in bytes ({}):", one.target);
    for (name, value) in &one.facts {
        println!("  {:<44} {value:>6}", name.replace('_', " "));
    }
    println!("  {:<44} {:>6}", "statics", one.static_ram);
    println!("\nLargest symbols ({}):", one.target);
    for (size, name) in &one.largest {
        println!("  {size:>6}  {}", short(name));
    }
    panicking("can still panic", one.target, &one.can_panic);
    panicking(
        "remain without software P-256",
        one.target,
        &one.can_panic_without_curve,
    );
}

/// One row for each board's whole firmware.
pub(super) fn firmware(images: &[(Board, Footprint)]) {
    println!("\nWhole firmware, portable curve, in bytes:");
    println!(
        "  {:<18} {:>8} {:>11} {:>7} {:>15}",
        "board", "flash", "static RAM", "stack", "RAM with stack"
    );
    for (board, size) in images {
        println!(
            "  {:<18} {:>8} {:>11} {:>7} {:>15}",
            board.name,
            size.flash,
            size.ram,
            size.stack,
            size.whole_ram()
        );
    }
}

fn panicking(what: &str, target: &str, functions: &Panicking) {
    println!("\nFunctions that {what} ({target}): {}", functions.len());
    for (name, by) in functions {
        println!("  {}", short(name));
        for how in by {
            println!("      by {how}");
        }
    }
}

/// A name that fits a line: generic arguments can go on for a page.
fn short(name: &str) -> &str {
    name.char_indices()
        .nth(110)
        .map_or(name, |(end, _)| &name[..end])
}

/// One object for programs.
pub(super) fn json(all: &[Sizes], images: &[(Board, Footprint)], toolchain: &str) -> Value {
    let targets: Vec<Value> = all
        .iter()
        .map(|sizes| {
            json!({
                "target": sizes.target,
                "flash_bytes": sizes.flash,
                "static_ram_bytes": sizes.static_ram,
                "facts": sizes.facts,
                "largest_symbols": sizes.largest,
                "can_panic": sizes.can_panic,
                "can_panic_without_curve": sizes.can_panic_without_curve,
            })
        })
        .collect();
    let firmware: Vec<Value> = images
        .iter()
        .map(|(board, size)| {
            json!({
                "board": board.name,
                "target": board.target,
                "flash_bytes": size.flash,
                "static_ram_bytes": size.ram,
                "stack_reserve_bytes": size.stack,
            })
        })
        .collect();
    json!({
        "opt_level": OPT_LEVEL,
        "toolchain": toolchain,
        "targets": targets,
        "firmware": firmware,
    })
}
