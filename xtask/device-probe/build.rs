//! Where the linker finds `memory.x`, and the script of the run-time crate that includes it.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-search={folder}/memory");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=memory/memory.x");
    println!("cargo::rerun-if-changed=build.rs");
}
