//! `cargo xtask size --parts`: where the bytes of a board's image go.
//!
//! A function that was inlined counts for whom it came from, not for where it landed; one of the
//! standard library, or of a crate that is like it, for who called it.

use std::collections::BTreeMap;
use std::path::Path;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};

use super::elf::Elf;
use super::panics::demangled;
use crate::firmware::{self, Backend, Image};

/// Bytes of the shortest instruction.
const STEP: usize = 2;
/// Statics smaller than this are one row.
const SMALL: u32 = 128;

/// A part's name, and the folders whose code it is; the first that fits counts.
const PARTS: [(&str, &[&str]); 13] = [
    (
        "P-256",
        &[
            "p256-",
            "primeorder-",
            "primefield-",
            "elliptic-curve-",
            "crypto-bigint-",
            "ecdsa-",
        ],
    ),
    (
        "AES-GCM, SHA-256, HKDF, ChaCha20",
        &[
            "aes-",
            "aead-",
            "ghash-",
            "polyval-",
            "cipher-",
            "ctr-",
            "sha2-",
            "hmac-",
            "hkdf-",
            "rfc6979-",
            "digest-",
            "block-buffer-",
            "chacha20-",
            "universal-hash-",
            "cpubits-",
        ],
    ),
    (
        "TCP/IP",
        &["smoltcp-", "embassy-net", "managed-", "byteorder-"],
    ),
    ("sequential-storage", &["sequential-storage-"]),
    ("QR code", &["qrcodegen-", "console/qr.rs"]),
    ("flash store", &["flash-store/"]),
    (
        "core: endpoint, journal, records",
        &[
            "core-nostd/src/endpoint",
            "core-nostd/src/journal",
            "core-nostd/src/peer",
            "core-nostd/src/snapshot",
            "core-nostd/src/storage",
        ],
    ),
    ("core: the rest", &["core-nostd/"]),
    (
        "app: console, log, settings",
        &[
            "src/console",
            "src/log.rs",
            "src/text.rs",
            "src/settings.rs",
            "src/device/desk.rs",
        ],
    ),
    (
        "app: board, drivers",
        &["src/boards/", "lan9118", "src/parts/"],
    ),
    ("app: the rest", &["firmware-example/"]),
    (
        "executor, clock, chip",
        &[
            "embassy-",
            "cortex-m",
            "critical-section-",
            "stm32",
            "rp-",
            "futures",
        ],
    ),
    ("others' small crates", &["registry/"]),
];

/// Containers and small tools: they count for who uses them.
const TOOLS: [&str; 7] = [
    "/rustc/",
    "heapless-",
    "hybrid-array-",
    "zeroize-",
    "subtle-",
    "rand_core-",
    "embassy-futures-",
];

const BUILT_IN: &str = "compiler's: memcpy, division, formatting";

/// The command.
pub(super) fn run(board: firmware::Board) -> Result<()> {
    let image = firmware::build(board, Image::App, Backend::Portable)?;
    let bytes = std::fs::read(&image).context("cannot read the image")?;
    let elf = Elf::parse(bytes)?;
    println!("Flash of {}, in bytes:", board.name);
    rows(flash(&image, &elf)?);
    println!("\nStatic RAM of {}, in bytes:", board.name);
    rows(statics(&elf));
    Ok(())
}

fn flash(image: &Path, elf: &Elf) -> Result<BTreeMap<String, u32>> {
    let lines = Loader::new(image).map_err(|error| anyhow!("no line table: {error}"))?;
    let mut parts = BTreeMap::new();
    for (name, address, size) in elf.in_flash() {
        if name != ".text" {
            *parts.entry(format!("{name}: tables, texts")).or_default() += size;
            continue;
        }
        for at in (address..address + size).step_by(STEP) {
            let part = owner(&lines, u64::from(at))?;
            *parts.entry(part.to_owned()).or_default() += STEP as u32;
        }
    }
    Ok(parts)
}

/// Whose the instruction at an address is.
fn owner(lines: &Loader, at: u64) -> Result<&'static str> {
    let mut frames = lines
        .find_frames(at)
        .map_err(|error| anyhow!("a damaged line table: {error}"))?;
    while let Some(frame) = frames
        .next()
        .map_err(|error| anyhow!("a damaged line table: {error}"))?
    {
        let file = frame.location.and_then(|location| location.file);
        if let Some(part) = file.and_then(part) {
            return Ok(part);
        }
    }
    Ok(BUILT_IN)
}

/// Whose a file is; `None`: a tool's.
fn part(file: &str) -> Option<&'static str> {
    if TOOLS.iter().any(|tool| file.contains(tool)) {
        return None;
    }
    let fits = |folders: &[&str]| folders.iter().any(|folder| file.contains(folder));
    let found = PARTS.iter().find(|(_, folders)| fits(folders));
    found.map(|(name, _)| *name)
}

fn statics(elf: &Elf) -> BTreeMap<String, u32> {
    let mut parts = BTreeMap::new();
    for symbol in &elf.symbols {
        let in_ram = [".bss", ".data", ".uninit"].contains(&symbol.section.as_str());
        if in_ram && symbol.size > 0 {
            let name = match symbol.size {
                ..SMALL => "smaller ones".to_owned(),
                _ => demangled(&symbol.name),
            };
            *parts.entry(name).or_default() += symbol.size;
        }
    }
    parts
}

fn rows(parts: BTreeMap<String, u32>) {
    let sum: u32 = parts.values().sum();
    let mut rows: Vec<_> = parts.into_iter().collect();
    rows.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    for (name, size) in rows {
        println!(
            "  {size:>7}  {:>5.1} %  {name}",
            f64::from(size) * 100.0 / f64::from(sum)
        );
    }
    println!("  {sum:>7}           sum");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_counts_for_whom_it_came_from() {
        let of = |file| part(file).expect("a part");
        assert_eq!(of("/r/registry/src/x/smoltcp-0.13.1/src/a.rs"), "TCP/IP");
        assert_eq!(of("/r/registry/src/x/p256-0.14.0/src/lib.rs"), "P-256");
        assert_eq!(of("/h/flash-store/src/open.rs"), "flash store");
        assert_eq!(of("/h/core-nostd/src/link/mod.rs"), "core: the rest");
        assert_eq!(of("/h/firmware-example/src/app.rs"), "app: the rest");
        assert_eq!(part("/rustc/1/library/core/src/option.rs"), None);
    }
}
