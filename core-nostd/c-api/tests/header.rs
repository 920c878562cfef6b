//! `include/hushwire.h` is what cbindgen makes of the sources, byte for byte.

use std::path::Path;

/// Set to anything, this variable has the header written instead of compared.
const WRITE: &str = "HUSHWIRE_WRITE_HEADER";

#[test]
fn the_header_is_what_the_sources_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    // It follows the modules from there, in the order of their declarations.
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(folder.join("src/lib.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let path = folder.join("include/hushwire.h");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, made).unwrap();
        return;
    }
    let committed = std::fs::read(path).unwrap();
    assert!(
        committed == made,
        "include/hushwire.h is not what the sources say. Make it anew:\n  \
         {WRITE}=1 cargo test -p hushwire-c --test header"
    );
}
