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
//! Semihosting's command line says which files: `flash=PATH key=PATH entropy=good`.

mod clock;
mod entropy;
mod files;
mod flash;
mod keeper;
mod options;
mod panel;
mod semihosting;
mod uart;

use core::ptr::NonNull;

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use embassy_executor::Spawner;
use hushwire_firmware::board::Board;
use hushwire_flash::Wipe;
use lan9118::{Chip, Irq, Lan9118, MAX_FRAME, Mmio};
use static_cell::StaticCell;

use entropy::HostEntropy;
use flash::FileFlash;
use keeper::FileKeeper;
use options::Options;
use panel::Mps2Panel;
use uart::Console;
pub(crate) use uart::LastWords;

/// QEMU gives its own user network any address; this one is locally administered.
const MAC: [u8; 6] = [0x02, 0x48, 0x57, 0x00, 0x03, 0x86];
const LAN9118: *mut u32 = 0x4020_0000 as *mut u32;

static NETWORK: StaticCell<Irq<Mmio>> = StaticCell::new();
static SCRATCH: StaticCell<[u8; MAX_FRAME]> = StaticCell::new();
static mut SHARED: Option<&'static Irq<Mmio>> = None;

/// The board, taken apart.
pub(crate) type ThisBoard =
    Board<Lan9118<'static, Mmio>, FileFlash, Console, HostEntropy, FileKeeper, Mps2Panel>;

/// Starts everything.
pub(crate) async fn take(_spawner: Spawner) -> ThisBoard {
    let options = Options::read();
    clock::start();
    let console = Console::start();
    let base = NonNull::new(LAN9118).unwrap_or(NonNull::dangling());
    // SAFETY: the machine's own map has the controller there, and only this line makes an `Mmio`.
    let registers = unsafe { Mmio::new(base) };
    let chip = match Chip::start(registers, MAC) {
        Ok(chip) => chip,
        Err(fault) => panic!("the network controller does not start: {fault:?}"),
    };
    let network: &'static Irq<Mmio> = NETWORK.init(Irq::new(chip));
    // SAFETY: the interrupt that reads it is unmasked below, after this write.
    unsafe { SHARED = Some(network) };
    // SAFETY: the handler exists, and what it uses is in place.
    unsafe { NVIC::unmask(Interrupt::Ethernet) };
    Board {
        name: "mps2-an386",
        network: Lan9118::new(network, MAC, SCRATCH.init([0; MAX_FRAME])),
        flash: FileFlash::open(options.flash()),
        wipe: Wipe::in_place::<FileFlash>(),
        console,
        entropy: HostEntropy::open(options.entropy()),
        keeper: FileKeeper::open(options.key()),
        panel: Mps2Panel::new(),
    }
}

/// Interrupts that this board uses.
#[derive(Clone, Copy)]
enum Interrupt {
    UartRx = 0,
    UartTx = 1,
    Timer0 = 8,
    Timer1 = 9,
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
        8 | 9 => clock::interrupted(),
        // SAFETY: written once, before this interrupt was unmasked.
        13 => {
            if let Some(network) = unsafe { SHARED } {
                network.handle();
            }
        }
        _ => cortex_m::peripheral::SCB::sys_reset(),
    }
}

#[exception]
unsafe fn HardFault(_frame: &cortex_m_rt::ExceptionFrame) -> ! {
    uart::say("\r\n# fault: restart\r\n");
    cortex_m::peripheral::SCB::sys_reset()
}
