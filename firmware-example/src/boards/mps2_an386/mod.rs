//! QEMU's `mps2-an386`: a Cortex-M4 with a LAN9118, on any desk.
//!
//! | part | is |
//! | --- | --- |
//! | network | the LAN9118 at 0x4020_0000, interrupt 13 |
//! | flash | a file of the host, by semihosting: it survives the end of QEMU, however sudden |
//! | key | a second file, standing for memory that the first one's thief does not get |
//! | entropy | the host's own generator, or one that fails as it is told |
//! | console | UART 0, by interrupt |
//! | panel | LED 0, a sensor that counts, the CMSDK watchdog |
//!
//! Semihosting's command line says which files, and more ([`options`]).

mod clock;
mod entropy;
mod executor;
mod faults;
mod files;
mod flash;
mod keeper;
mod memory;
mod options;
mod panel;
mod semihosting;
mod uart;
mod vectors;

use core::cell::Cell;
use core::ptr::NonNull;

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_executor::Spawner;
use hushwire_firmware::board::Board;
use hushwire_flash::Wipe;
use lan9118::{Chip, Irq, Lan9118, Mmio};
use static_cell::StaticCell;

use entropy::HostEntropy;
use flash::FileFlash;
use keeper::FileKeeper;
use options::Options;
use panel::Mps2Panel;
use uart::Console;

pub(crate) use executor::Executor;
pub(crate) use uart::LastWords;

/// QEMU gives its own user network any address; this one is locally administered.
const MAC: [u8; 6] = [0x02, 0x48, 0x57, 0x00, 0x03, 0x86];
const LAN9118: *mut u32 = 0x4020_0000 as *mut u32;

type Network = Irq<Mmio>;

static NETWORK: StaticCell<Network> = StaticCell::new();
/// What the network's interrupt handles, once it is there.
static SHARED: Mutex<Cell<Option<&'static Network>>> = Mutex::new(Cell::new(None));

/// The board, taken apart.
pub(crate) type ThisBoard =
    Board<Lan9118<'static, Mmio>, FileFlash, Console, HostEntropy, FileKeeper, Mps2Panel>;

/// Starts everything.
pub(crate) async fn take(_spawner: Spawner) -> ThisBoard {
    take_apart()
}

/// Apart, so that the command line is not on the stack while the device works.
#[inline(never)]
fn take_apart() -> ThisBoard {
    // SAFETY: the first who asks for the processor's parts, and the only one.
    let mut parts = unsafe { cortex_m::Peripherals::steal() };
    memory::protect(&mut parts.MPU);
    semihosting::close_old();
    let options = Options::read();
    clock::start();
    let console = Console::start();
    Board {
        name: "mps2-an386",
        network: start_network(),
        flash: FileFlash::open(options.flash()).unwrap_or_else(|_| no_file(options.flash())),
        wipe: Wipe::in_place::<FileFlash>(),
        console,
        entropy: HostEntropy::open(options.entropy()),
        keeper: FileKeeper::open(options.key()).unwrap_or_else(|_| no_file(options.key())),
        panel: Mps2Panel::new(options.is_held()),
    }
}

/// Without its files the board cannot work, and a restart would not help.
fn no_file(path: &str) -> ! {
    uart::say("\r\n# the host gives no file ");
    uart::say(path);
    uart::say("\r\n");
    semihosting::exit()
}

fn start_network() -> Lan9118<'static, Mmio> {
    let base = NonNull::new(LAN9118).unwrap_or(NonNull::dangling());
    // SAFETY: the machine's own map has the controller there, and only this line makes an `Mmio`.
    let registers = unsafe { Mmio::new(base) };
    let chip = match Chip::start(registers, MAC) {
        Ok(chip) => chip,
        Err(fault) => panic!("the network controller does not start: {fault:?}"),
    };
    let network = &*NETWORK.init(Irq::new(chip));
    critical_section::with(|cs| SHARED.borrow(cs).set(Some(network)));
    // SAFETY: the handler exists, and what it uses is in place.
    unsafe { NVIC::unmask(Interrupt::Ethernet) };
    Lan9118::new(network, MAC)
}

/// Interrupts that this board uses.
#[derive(Clone, Copy)]
enum Interrupt {
    UartRx = 0,
    UartTx = 1,
    Alarm = 9,
    Ethernet = 13,
}

// SAFETY: the numbers are the machine's, and do not change.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

#[exception]
unsafe fn DefaultHandler(number: i16) {
    match number {
        0 | 1 => uart::interrupted(),
        9 => clock::interrupted(),
        13 => {
            if let Some(network) = critical_section::with(|cs| SHARED.borrow(cs).get()) {
                network.handle();
            }
        }
        _ => cortex_m::peripheral::SCB::sys_reset(),
    }
}
