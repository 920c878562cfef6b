//! Puts the chosen board's memory map where the linker looks.
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let board = [
        ("MPS2_AN386", "mps2-an386"),
        ("NUCLEO_H563ZI", "nucleo-h563zi"),
        ("W5500_EVB_PICO2", "w5500-evb-pico2"),
    ]
    .into_iter()
    .find(|(feature, _)| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some());
    let Some((_, board)) = board else { return };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::copy(format!("memory/{board}.x"), out.join("memory.x")).unwrap();
    if board == "mps2-an386" {
        // The runtime asks for names of interrupts; the board's own table needs none.
        fs::write(out.join("device.x"), "").unwrap();
    }
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    // Functions that came out equal become one.
    println!("cargo::rustc-link-arg-bins=--icf=all");
    println!("cargo::rerun-if-changed=memory/{board}.x");
}
