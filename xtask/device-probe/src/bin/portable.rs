//! The backend in portable Rust.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use hushwire_core::crypto::Software;

#[entry]
fn main() -> ! {
    device_probe::measure(Software)
}
