//! As much of a 32-bit little-endian ELF file as a size report needs.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

const ALLOCATED: u32 = 0x2;
const WRITABLE: u32 = 0x1;
const SYMBOL_TABLE: u32 = 2;
const WITH_ADDENDS: u32 = 4;
const NO_BITS: u32 = 8;
const RELOCATIONS: u32 = 9;

/// A linked image.
pub(crate) struct Elf {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

struct Section {
    name: String,
    kind: u32,
    flags: u32,
    address: u32,
    file: Range<usize>,
    size: u32,
    link: u32,
}

/// A named piece of the image.
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) address: u32,
    pub(crate) size: u32,
    pub(crate) section: String,
    is_code: bool,
}

/// A place in the image that refers to a symbol.
pub(crate) struct Reference {
    pub(crate) from: u32,
    pub(crate) to: usize,
}

impl Elf {
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self> {
        ensure!(
            bytes.starts_with(b"\x7fELF\x01\x01"),
            "not a 32-bit little-endian ELF file"
        );
        let mut elf = Self {
            bytes,
            sections: Vec::new(),
            symbols: Vec::new(),
        };
        elf.read_sections()
            .context("the section table is damaged")?;
        elf.read_symbols().context("the symbol table is damaged")?;
        Ok(elf)
    }

    /// Bytes that a chip would hold in flash; sections in `beside` are not part of the image.
    pub(crate) fn flash(&self, beside: &str) -> u32 {
        self.loaded(beside)
            .filter(|section| section.kind != NO_BITS)
            .map(|s| s.size)
            .sum()
    }

    /// Bytes of RAM that statics take.
    pub(crate) fn static_ram(&self, beside: &str) -> u32 {
        self.loaded(beside)
            .filter(|section| section.flags & WRITABLE != 0)
            .map(|s| s.size)
            .sum()
    }

    /// Name, address and size of each section that a chip would hold in flash.
    pub(crate) fn in_flash(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.loaded("")
            .filter(|section| section.kind != NO_BITS)
            .map(|section| (section.name.as_str(), section.address, section.size))
    }

    /// The 32-bit number at a symbol.
    pub(crate) fn number(&self, symbol: &Symbol) -> Option<u32> {
        let section = self
            .sections
            .iter()
            .find(|section| section.name == symbol.section)?;
        let offset = symbol.address.checked_sub(section.address)? as usize;
        self.word(section.file.start + offset).ok()
    }

    /// The address of a symbol.
    pub(crate) fn address(&self, name: &str) -> Option<u32> {
        let symbol = self.symbols.iter().find(|symbol| symbol.name == name)?;
        Some(symbol.address)
    }

    /// The function or object that holds an address.
    pub(crate) fn holder(&self, address: u32) -> Option<usize> {
        self.symbols.iter().position(|symbol| {
            // The lowest bit of a Thumb function's address marks its instruction set.
            let start = if symbol.is_code {
                symbol.address & !1
            } else {
                symbol.address
            };
            (start..start + symbol.size).contains(&address)
        })
    }

    /// Every reference that the linker kept (`--emit-relocs`).
    pub(crate) fn references(&self) -> Result<Vec<Reference>> {
        let mut found = Vec::new();
        for section in &self.sections {
            let step = match section.kind {
                RELOCATIONS => 8,
                WITH_ADDENDS => 12,
                _ => continue,
            };
            for at in section.file.clone().step_by(step) {
                // ELF-32: offset, then info = symbol << 8 | kind.
                let to = (self.word(at + 4)? >> 8) as usize;
                found.push(Reference {
                    from: self.word(at)?,
                    to,
                });
            }
        }
        Ok(found)
    }

    fn loaded<'a>(&'a self, beside: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections
            .iter()
            .filter(move |s| s.flags & ALLOCATED != 0 && s.name != beside)
    }

    fn read_sections(&mut self) -> Result<()> {
        let (table, entry) = (self.word(0x20)? as usize, usize::from(self.half(0x2e)?));
        let (count, names) = (usize::from(self.half(0x30)?), usize::from(self.half(0x32)?));
        let names = self.word(table + names * entry + 0x10)? as usize;
        for at in (0..count).map(|index| table + index * entry) {
            let [name, kind, flags, address, offset, size, link] =
                [0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18].map(|field| self.word(at + field));
            let (kind, offset, size) = (kind?, offset? as usize, size?);
            let length = if kind == NO_BITS { 0 } else { size as usize };
            self.sections.push(Section {
                name: self.string(names + name? as usize)?,
                kind,
                flags: flags?,
                address: address?,
                file: offset..offset + length,
                size,
                link: link?,
            });
        }
        Ok(())
    }

    fn read_symbols(&mut self) -> Result<()> {
        let Some(table) = self
            .sections
            .iter()
            .find(|section| section.kind == SYMBOL_TABLE)
        else {
            return Ok(());
        };
        let names = &self
            .sections
            .get(table.link as usize)
            .context("no names")?
            .file;
        let mut symbols = Vec::new();
        for at in table.file.clone().step_by(16) {
            let section = usize::from(self.half(at + 14)?);
            symbols.push(Symbol {
                name: self.string(names.start + self.word(at)? as usize)?,
                address: self.word(at + 4)?,
                size: self.word(at + 8)?,
                section: self
                    .sections
                    .get(section)
                    .map_or(String::new(), |s| s.name.clone()),
                is_code: self.bytes.get(at + 12).is_some_and(|info| info & 0xf == 2),
            });
        }
        self.symbols = symbols;
        Ok(())
    }

    fn word(&self, at: usize) -> Result<u32> {
        let bytes = self.bytes.get(at..at + 4).context("the file ends early")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    }

    fn half(&self, at: usize) -> Result<u16> {
        let bytes = self.bytes.get(at..at + 2).context("the file ends early")?;
        Ok(u16::from_le_bytes(bytes.try_into()?))
    }

    fn string(&self, at: usize) -> Result<String> {
        let rest = self.bytes.get(at..).context("the file ends early")?;
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .context("a name does not end")?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(Elf::parse(b"MZ".to_vec()).is_err());
        assert!(Elf::parse(b"\x7fELF\x01\x01".to_vec()).is_err());
        assert!(Elf::parse(Vec::new()).is_err());
    }
}
