//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;

use embassy_executor::Spawner;
use embedded_io_async::Write;
use hushwire_firmware::board::{Entropy, Keeper, Lamp, Panel};
use static_cell::StaticCell;

#[cortex_m_rt::entry]
fn start() -> ! {
    static EXECUTOR: StaticCell<boards::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(boards::Executor::new());
    executor.run(|spawner| spawner.spawn(main(spawner).expect("the first of its kind")))
}

#[embassy_executor::task]
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
