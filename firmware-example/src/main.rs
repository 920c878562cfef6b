//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;

use embassy_executor::Spawner;
use static_cell::StaticCell;

#[cortex_m_rt::entry]
fn start() -> ! {
    static EXECUTOR: StaticCell<boards::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(boards::Executor::new());
    executor.run(|spawner| spawner.spawn(main(spawner).expect("the first of its kind")))
}

#[embassy_executor::task]
async fn main(spawner: Spawner) {
    hushwire_firmware::run(boards::take(spawner)).await
}
