//! The boards, one file each; a feature chooses one.

#[cfg(any(
    all(feature = "mps2-an386", feature = "nucleo-h563zi"),
    all(feature = "mps2-an386", feature = "w5500-evb-pico2"),
    all(feature = "nucleo-h563zi", feature = "w5500-evb-pico2"),
))]
compile_error!("an image is for one board: choose one feature of the boards, not several");

#[cfg(feature = "mps2-an386")]
mod mps2_an386;
#[cfg(feature = "mps2-an386")]
pub(crate) use mps2_an386::{Executor, LastWords, take};

#[cfg(feature = "nucleo-h563zi")]
mod nucleo_h563zi;
#[cfg(feature = "nucleo-h563zi")]
pub(crate) use nucleo_h563zi::{LastWords, take};

#[cfg(feature = "w5500-evb-pico2")]
mod w5500_evb_pico2;
#[cfg(feature = "w5500-evb-pico2")]
pub(crate) use w5500_evb_pico2::{LastWords, take};

mod stack;

#[cfg(not(feature = "mps2-an386"))]
pub(crate) use embassy_executor::Executor;

/// Says so and starts over. The message and its place cost 18 KiB of flash, so only debug builds tell
/// them; a debugger finds both in any.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;

    cortex_m::interrupt::disable();
    let _ = if cfg!(debug_assertions) {
        write!(LastWords, "\r\n# {info}\r\n")
    } else {
        LastWords.write_str("\r\n# panic: restart\r\n")
    };
    cortex_m::peripheral::SCB::sys_reset()
}
