//! `libhushwire.a` for the chips.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use crate::process;
use crate::project::{self, EMBEDDED_TARGETS};
use crate::toolchain::Embedded;

/// As CMakeLists.txt builds it for a chip.
const FLAGS: &str = "--cfg sha2_backend_soft=\"compact\" --cfg aes_backend_soft=\"compact\"";

/// Compiles the library for every bare-metal target.
pub(super) fn build(toolchain: &Embedded) -> Result<()> {
    EMBEDDED_TARGETS
        .into_iter()
        .try_for_each(|target| build_one(toolchain, target, "standalone"))
}

fn build_one(toolchain: &Embedded, target: &str, feature: &str) -> Result<()> {
    let mut command = toolchain.cargo("rustc", &[target], &project::root());
    let name = target.to_uppercase().replace(['-', '.'], "_");
    command
        .args(["--package", "hushwire-c", "--lib", "--profile", "c-api"])
        .args(["--crate-type", "staticlib", "--features", feature])
        .env_remove("RUSTFLAGS")
        .env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), FLAGS);
    let what = process::shown(&command);
    process::logged(&mut command, &format!("c-library-{target}"))?.must_succeed(&what)?;
    Ok(())
}

/// The source files, as the compiler was given them, of every panic that survived the optimiser.
///
/// The library is one object, optimised as a whole, that holds what its functions reach. Built so
/// that its panic handler asks for the site, it holds the file names of the sites, ours and those of
/// dependencies. The compiler's own libraries are left out: they panic in the name of a caller.
pub(super) fn panic_sites(toolchain: &Embedded, target: &str) -> Result<BTreeSet<String>> {
    build_one(toolchain, target, "panic-sites")?;
    let archive = std::fs::read(path(target))?;
    // The library that the example links is the other one.
    build_one(toolchain, target, "standalone")?;
    Ok(source_files(&archive))
}

/// Names of Rust files among other bytes. They stand back to back, without an end of their own.
fn source_files(bytes: &[u8]) -> BTreeSet<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    bytes
        .split(|byte| !is_part(byte))
        .filter_map(|run| std::str::from_utf8(run).ok())
        .flat_map(|run| run.split_inclusive(".rs"))
        .filter(|name| name.ends_with(".rs") && name.contains("/src/"))
        .filter(|name| !name.contains("library/"))
        .map(str::to_owned)
        .collect()
}

/// Where the library of a target is.
pub(super) fn path(target: &str) -> PathBuf {
    project::embedded_target_dir()
        .join(target)
        .join("c-api/libhushwire_c.a")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_found_among_other_bytes() {
        let bytes = b"\x01\x02core-nostd/src/a.rsregistry/src/p256-0.14.0/src/b.rs\0no.rs\xff\
                      /rustc/1f/library/core/src/option.rs\0x/src/y.c";
        let found: Vec<_> = source_files(bytes).into_iter().collect();
        assert_eq!(
            found,
            ["core-nostd/src/a.rs", "registry/src/p256-0.14.0/src/b.rs"]
        );
    }
}
