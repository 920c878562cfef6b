//! What the library costs in a linked program, out of the linker's map.

use anyhow::{Context, Result};

/// Bytes that came out of one archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Code and constants.
    pub(super) flash: u32,
    /// Statics.
    pub(super) ram: u32,
}

/// Adds up what a map says of the archive's members. What the linker threw away stands before the
/// memory map and does not count.
pub(super) fn cost(map: &str, archive: &str) -> Result<Cost> {
    let (_, kept) = map
        .split_once("Linker script and memory map")
        .context("this is no linker's map")?;
    let mut cost = Cost::default();
    let mut section = "";
    for line in kept.lines() {
        // ` .text.name  0xaddress  0xsize  file`; a long name has a line of its own.
        let mut words = line.split_whitespace().peekable();
        if let Some(name) = words.next_if(|word| word.starts_with('.')) {
            section = name;
        }
        let numbers = (words.next().and_then(hex), words.next().and_then(hex));
        let (Some(_), Some(size)) = numbers else {
            continue;
        };
        if !words.next().is_some_and(|file| file.contains(archive)) {
            continue;
        }
        if section.starts_with(".data") || section.starts_with(".bss") {
            cost.ram += size;
        }
        if !section.starts_with(".bss") && !is_beside(section) {
            cost.flash += size;
        }
    }
    Ok(cost)
}

/// Sections that no chip holds, and tables of unwinding that a firmware drops.
fn is_beside(section: &str) -> bool {
    [".ARM.", ".debug", ".comment", ".rel", ".note"]
        .iter()
        .any(|beside| section.starts_with(beside))
}

fn hex(word: &str) -> Option<u32> {
    u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_sections_of_the_archive_are_added_up() {
        let map = "\
Discarded input sections

 .text.gone     0x00000000       0x40 lib/libx.a(x.o)

Linker script and memory map

 .text.short    0x00000010       0x10 lib/libx.a(x.o)
 .text.a_name_that_is_longer_than_its_column
                0x00000020       0x20 lib/libx.a(x.o)
 .text.main     0x00000040      0x100 main.o
 .rodata.table  0x00000140        0x4 lib/libx.a(x.o)
 *fill*         0x00000144        0x4
 .data.state    0x20000000        0x8 lib/libx.a(y.o)
 .bss.more      0x20000008       0x80 lib/libx.a(y.o)
 .ARM.exidx.f   0x00000200        0x8 lib/libx.a(x.o)
 .rel.text.f    0x00000000        0x8 lib/libx.a(x.o)
";
        let expected = Cost {
            flash: 0x10 + 0x20 + 0x4 + 0x8,
            ram: 0x88,
        };
        assert_eq!(cost(map, "libx.a").unwrap(), expected);
        assert!(cost("nothing", "libx.a").is_err());
    }
}
