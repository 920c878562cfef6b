//! The backend in assembly.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use hushwire_p256_cortex_m4::CortexM4;

#[entry]
fn main() -> ! {
    device_probe::measure(CortexM4)
}
