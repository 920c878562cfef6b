//! `cargo xtask bench`: figures for the README. What must not grow on the device is held to limits by
//! `cargo xtask test`.

mod core;
pub(crate) mod device;

pub(crate) use core::run as core;
