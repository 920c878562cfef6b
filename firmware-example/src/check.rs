//! `board-check`: the parts of a board one by one, by hand or from a test, without the app.
//!
//! Commands on the console, one a line; each answers with one line that begins with `ok` or `error`.
//!
//! | command | tries |
//! | --- | --- |
//! | `net` | waits for DHCP; the address |
//! | `tcp PORT N` | N times 512 bytes to an echo at the gateway and back |
//! | `link` | whether the cable is in |
//! | `sleep MS` | the clock; what it measured, in milliseconds |
//! | `fill BYTE` | erases the flash and writes it full |
//! | `and BYTE` | writes it again without erasing: clears bits and sets none (not for flash with ECC) |
//! | `sum` | the sum of the flash's bytes |
//! | `noise` | 8 bytes of it |
//! | `key` | whether a key is kept; keeps one if not |
//! | `read` | the sensor |
//! | `stack` | deepest use and size |
//! | `guard S`, `starve` | starts the watchdog; stops feeding it, in a critical section |
//! | `panic`, `overflow`, `poke ADDRESS`, `restart` | ends in a restart, where `poke` meets no RAM |
#![no_std]
#![no_main]

mod boards;

use core::fmt::Write as _;

use embassy_executor::Spawner;
use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Runner, Stack, StackResources};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use heapless::String;
use hushwire_firmware::board::{Board, Entropy, Keeper, Lamp, Panel};
use static_cell::{ConstStaticCell, StaticCell};

/// An answer; what does not fit is cut off.
type Line = String<96>;

#[cortex_m_rt::entry]
fn start() -> ! {
    static EXECUTOR: StaticCell<boards::Executor> = StaticCell::new();
    let executor = EXECUTOR.init(boards::Executor::new());
    executor.run(|spawner| spawner.spawn(main(spawner).expect("the first of its kind")))
}

#[embassy_executor::task]
async fn main(spawner: Spawner) {
    check(boards::take(spawner)).await;
}

async fn check<N, F, C, E, K, P>(take: impl Future<Output = Board<N, F, C, E, K, P>>)
where
    N: embassy_net_driver::Driver,
    F: NorFlash + ReadNorFlash,
    C: Read + Write,
    E: Entropy,
    K: Keeper,
    P: Panel,
{
    let board = take.await;
    let Board { network, .. } = board;
    static RESOURCES: ConstStaticCell<StackResources<2>> =
        ConstStaticCell::new(StackResources::new());
    let config = Config::dhcpv4(Default::default());
    let (stack, mut runner): (Stack<'_>, Runner<'_, N>) =
        embassy_net::new(network, config, RESOURCES.take(), 1);
    let mut bench = Bench {
        stack,
        flash: board.flash,
        entropy: board.entropy,
        keeper: board.keeper,
        panel: board.panel,
    };
    let mut console = board.console;
    bench.panel.lamp(Lamp::On);
    let talk = async {
        let mut line = String::<64>::new();
        let _ = console.write_all(b"\r\n# ready\r\n").await;
        loop {
            let mut byte = [0];
            let _ = console.read_exact(&mut byte).await;
            if byte != *b"\n" && byte != *b"\r" {
                // A line that is too long is no command.
                let _ = line.push(byte[0].into());
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let mut answer = Line::new();
            let word = match bench.command(&line, &mut answer).await {
                Some(()) => "ok ",
                None => "error ",
            };
            for text in [word, &answer, "\r\n"] {
                let _ = console.write_all(text.as_bytes()).await;
            }
            let _ = console.flush().await;
            line.clear();
        }
    };
    select(runner.run(), talk).await;
}

struct Bench<'a, F, E, K, P> {
    stack: Stack<'a>,
    flash: F,
    entropy: E,
    keeper: K,
    panel: P,
}

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Bench<'_, F, E, K, P> {
    async fn command(&mut self, line: &str, say: &mut Line) -> Option<()> {
        let mut words = line.split_whitespace();
        let command = words.next()?;
        let mut number = || words.next()?.parse::<u32>().ok();
        match command {
            "net" => {
                self.stack.wait_config_up().await;
                write!(say, "{}", self.stack.config_v4()?.address).ok()?;
            }
            "tcp" => self.tcp(number()?, number()?, say).await?,
            "link" => write!(say, "{}", self.stack.is_link_up()).ok()?,
            "sleep" => {
                let start = Instant::now();
                Timer::after(Duration::from_millis(number()?.into())).await;
                write!(say, "{}", start.elapsed().as_millis()).ok()?;
            }
            "fill" => {
                self.flash.erase(0, self.flash.capacity() as u32).ok()?;
                self.write(number()? as u8)?;
            }
            "and" => self.write(number()? as u8)?,
            "sum" => write!(say, "{}", self.sum()?).ok()?,
            "noise" => {
                let mut noise = [0; 8];
                self.entropy.fill(&mut noise).ok()?;
                write!(say, "{noise:02x?}").ok()?;
            }
            "key" => {
                let kept = self.keeper.key().is_some();
                write!(say, "{kept}").ok()?;
                return (kept || self.keeper.keep(&[7; 32])).then_some(());
            }
            "read" => write!(say, "{} {}", self.panel.read()?, P::UNIT).ok()?,
            "stack" => {
                let stack = self.panel.stack()?;
                write!(say, "{} of {}", stack.most, stack.size).ok()?;
            }
            "guard" => self.panel.guard(number()? as u8),
            "starve" => {
                cortex_m::interrupt::disable();
                loop {
                    core::hint::spin_loop();
                }
            }
            "panic" => panic!("as told"),
            "overflow" => write!(say, "{}", deeper(number().unwrap_or(u32::MAX))).ok()?,
            "poke" => {
                let place = core::ptr::with_exposed_provenance_mut::<u32>(number()? as usize);
                // SAFETY: none, and that is the trial: the board must stop it, or have RAM there.
                unsafe { place.write_volatile(place.read_volatile()) };
            }
            "restart" => self.panel.restart(),
            _ => return None,
        }
        Some(())
    }

    /// Echo at the gateway, which under QEMU is the host's loopback.
    async fn tcp(&mut self, port: u32, times: u32, say: &mut Line) -> Option<()> {
        let gateway = self.stack.config_v4()?.gateway?;
        let (mut rx, mut tx) = ([0; 1024], [0; 1024]);
        let mut socket = TcpSocket::new(self.stack, &mut rx, &mut tx);
        socket.set_timeout(Some(Duration::from_secs(10)));
        socket.connect((gateway, port as u16)).await.ok()?;
        let start = Instant::now();
        for round in 0..times {
            let sent = [round as u8; 512];
            let mut back = [0; 512];
            socket.write_all(&sent).await.ok()?;
            socket.read_exact(&mut back).await.ok()?;
            if sent != back {
                return None;
            }
        }
        write!(say, "{} ms", start.elapsed().as_millis()).ok()
    }

    fn write(&mut self, byte: u8) -> Option<()> {
        let bytes = [byte; 64];
        for at in (0..self.flash.capacity() as u32).step_by(bytes.len()) {
            self.flash.write(at, &bytes).ok()?;
        }
        Some(())
    }

    fn sum(&mut self) -> Option<u32> {
        let (mut sum, mut bytes) = (0, [0; 64]);
        for at in (0..self.flash.capacity() as u32).step_by(bytes.len()) {
            self.flash.read(at, &mut bytes).ok()?;
            sum += bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        }
        Some(sum)
    }
}

/// Uses up the stack.
#[expect(unconditional_recursion, reason = "that it ends is what is tried")]
#[inline(never)]
fn deeper(depth: u32) -> u32 {
    let room = core::hint::black_box([depth; 16]);
    deeper(depth.wrapping_add(room[3])) + room[5]
}
