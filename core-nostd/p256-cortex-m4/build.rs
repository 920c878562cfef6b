//! Tells the crate whether it is compiled for a chip that has the instructions (UMAAL and the
//! rest of the DSP extension). Elsewhere it is empty, so that a workspace can hold it.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(cortex_m4)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em-") || target.starts_with("thumbv8m.main-") {
        println!("cargo::rustc-cfg=cortex_m4");
    }
}
