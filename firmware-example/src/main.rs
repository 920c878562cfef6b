//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;

use embassy_executor::Spawner;
use embedded_io_async::Write;
use hushwire_firmware::board::{Entropy, Keeper, Lamp, Panel};

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let mut board = boards::take(spawner).await;
    let mut noise = [0; 32];
    board.panel.guard(30);
    let ok = board.entropy.fill(&mut noise).is_ok();
    if board.keeper.key().is_none() && ok {
        board.keeper.keep(&noise);
    }
    board.panel.lamp(Lamp::On);
    let reading = board.panel.read();
    let _ = board
        .console
        .write_all(&reading.unwrap_or(0).to_le_bytes())
        .await;
    use embedded_storage::nor_flash::NorFlash;
    let _ = board.flash.write(0, &noise);
    async fn net<D: embassy_net_driver::Driver>(d: D) -> ! {
        let mut r = embassy_net::StackResources::<3>::new();
        let (_s, mut run) = embassy_net::new(
            d,
            embassy_net::Config::dhcpv4(Default::default()),
            &mut r,
            7,
        );
        run.run().await
    }
    net(board.network).await
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
