//! The core's public operations, each called once, and what every probe image shares: the panic
//! handler and the entry.
#![no_std]

pub mod curve;
pub mod endpoint;
pub mod identity;
pub mod input;
pub mod link;
pub mod session;
pub mod shelf;
pub mod text;
pub mod wire;

use core::panic::PanicInfo;

/// Kept out of line, so that the image's relocations show who can reach it.
#[panic_handler]
#[inline(never)]
fn probe_panicked(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::black_box(());
    }
}

/// The image's entry point: runs `$work` once.
#[macro_export]
macro_rules! entry {
    ($work:path) => {
        #[allow(unsafe_code, reason = "the linker script looks for this name")]
        #[unsafe(no_mangle)]
        extern "C" fn probe_main() {
            $work();
        }
    };
}

/// Numbers that `cargo xtask size` reads out of the image instead of running it.
#[macro_export]
macro_rules! facts {
    ($($name:ident = $value:expr;)*) => {
        $(
            #[allow(unsafe_code, reason = "the size report looks for this section and name")]
            #[allow(non_upper_case_globals, reason = "the name is a key of the report")]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".facts")]
            #[used]
            static $name: u32 = $value as u32;
        )*
    };
}
