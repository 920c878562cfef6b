//! `cargo xtask bench`: figures for the README. What must not grow on the device is held to limits by
//! `cargo xtask test`.

mod core;
pub(crate) mod device;
mod relay;

pub(crate) use core::run as core;
pub(crate) use relay::{Work, run as relay};
