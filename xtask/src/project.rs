//! Where things are in the project, and which targets it is built for.

use std::path::{Path, PathBuf};

/// The bare-metal targets that the core must always compile for.
///
/// ARMv6-M and RV32IMAC parts such as the Cortex-M0+ and the ESP32-C3's family stand for chips
/// without a compare-and-swap: the core may use none.
pub(crate) const EMBEDDED_TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
];

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable when it runs us; the compiled-in value serves a binary run by hand.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// Cargo's output folder for everything that runs on this machine.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Output for bare-metal targets: apart, so that those builds never wait for the host's.
pub(crate) fn embedded_target_dir() -> PathBuf {
    target_dir().join("embedded")
}

/// Full logs of the steps, one file each.
pub(crate) fn log_dir() -> PathBuf {
    target_dir().join("xtask-logs")
}
