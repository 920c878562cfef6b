//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;

use embassy_executor::Spawner;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = boards::take(spawner).await;
    hushwire_firmware::run(board).await
}

/// Says so and starts over. The message and its place cost 18 KiB of flash, so only debug builds tell
/// them; a debugger finds both in any.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;

    cortex_m::interrupt::disable();
    let _ = if cfg!(debug_assertions) {
        write!(boards::LastWords, "\r\n{info}\r\n")
    } else {
        boards::LastWords.write_str("\r\npanic\r\n")
    };
    cortex_m::peripheral::SCB::sys_reset()
}
