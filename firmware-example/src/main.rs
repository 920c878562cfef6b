//! The image of one board: takes the board apart and hands it to the app.
#![no_std]
#![no_main]

mod boards;

use embassy_executor::Spawner;
use embedded_io_async::{Read, Write};
use hushwire_firmware::board::{Board, Entropy};

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = boards::take(spawner).await;
    let Board { network, mut console, mut entropy, .. } = board;
    let mut b = [0;8];
    let _ = entropy.fill(&mut b);
    let _ = console.write_all(b"# hello\r\n").await;
    let mut r = embassy_net::StackResources::<3>::new();
    let (stack, mut run) = embassy_net::new(network, embassy_net::Config::dhcpv4(Default::default()), &mut r, u64::from_le_bytes(b));
    let work = async {
        stack.wait_config_up().await;
        let _ = console.write_all(b"# up\r\n").await;
        let mut rx = [0; 1024]; let mut tx = [0; 1024];
        let mut s = embassy_net::tcp::TcpSocket::new(stack, &mut rx, &mut tx);
        let c = s.connect((embassy_net::Ipv4Address::new(10,0,2,2), 7007)).await;
        let _ = console.write_all(if c.is_ok() { b"# connected\r\n" } else { b"# no\r\n"}).await;
        let mut buf = [0; 512];
        loop {
            let n = match embassy_futures::select::select(s.read(&mut buf), embassy_time::Timer::after_millis(500)).await {
                embassy_futures::select::Either::First(Ok(n)) => n,
                embassy_futures::select::Either::First(_) => break,
                _ => { let _ = console.write_all(b".").await; continue; }
            };
            if n == 0 { break; }
            let _ = s.write(&buf[..n]).await;
            let _ = console.write_all(b"+").await;
        }
        let _ = console.write_all(b"# closed\r\n").await;
        loop { let n = console.read(&mut buf).await.unwrap(); let _ = console.write_all(&buf[..n]).await; }
    };
    embassy_futures::join::join(run.run(), work).await;
}
