//! [`run`]: one board, from power on.
//!
//! ```text
//! button held? ─> healthy noise? ─> ┌─ a life ───────────────────────────────┐
//!                                   │ Terminal │ Net │ lamp, watchdog        │──ends──> again
//!                                   │     └────┴──┴──> RefCell<Device>       │          restart
//!                                   └────────────────────────────────────────┘          reset
//! ```
//! One task, no executor's features: the parts of a life take turns, and none holds the device across
//! an `await`. Flash is written synchronously, so that no dropped future can cut a write short.

use core::cell::{Cell, RefCell};
use core::pin::pin;

use embassy_futures::select::{Either3, select, select3};
use embassy_net::StackResources;
use embassy_net_driver::Driver;
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, signal::Signal};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::NorFlash;
use rand_core::Rng as _;
use static_cell::ConstStaticCell;

use crate::{
    RESET_HOLD,
    board::{Board, Entropy, Keeper, Panel},
    console::Terminal,
    device::{Device, End, Fault, Memory, Parts},
    entropy::{Generator, Random},
    lamp::{Mood, lamp},
    log::Log,
    net::{Buffers, Net},
    text::{Line, set},
};

/// Tells the link that there is something to do.
pub type Wake = Signal<NoopRawMutex, ()>;

/// Seconds after which the watchdog bites.
const GUARD: u8 = 8;
/// How often lamp and watchdog are seen to.
const TICK: Duration = Duration::from_millis(50);
/// Milliseconds that the link's loop may need for one round; what takes longer does not work.
const ROUND: u64 = 40_000;
/// How long somebody who types is told that there is no noise, before it is looked for again.
const NO_NOISE: Duration = Duration::from_secs(10);
/// Time for last words.
const FAREWELL: Duration = Duration::from_millis(300);
/// Failures of the flash in a row that are met by loading again at once.
const RELOADS: u8 = 4;
/// Milliseconds after which a life that failed was long, and a fault is looked at again.
const LONG: u64 = 60_000;
/// Sockets: the relay's and DHCP's.
const SOCKETS: usize = 2;

/// Milliseconds since power on.
pub(crate) fn uptime() -> u64 {
    Instant::now().as_millis()
}

/// Everything a device does, for ever. To be called once.
pub async fn run<N, F, C, E, K, P>(board: Board<N, F, C, E, K, P>) -> !
where
    N: Driver,
    F: NorFlash,
    C: Read + Write,
    E: Entropy,
    K: Keeper,
    P: Panel,
{
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static LOG: ConstStaticCell<Log> = ConstStaticCell::new(Log::new());
    static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());

    let Board {
        name,
        network,
        mut flash,
        wipe,
        console,
        entropy,
        mut keeper,
        mut panel,
    } = board;
    panel.guard(GUARD);
    let log = LOG.take();
    let mut terminal = Terminal::new(console, log.oldest());
    if is_held_long(&mut panel).await {
        terminal
            .note("the button was held: everything is forgotten")
            .await;
        forget(&mut flash, &mut keeper, &mut panel);
    }

    let generator = match seed(entropy, &mut terminal, &mut panel).await {
        Some(generator) => RefCell::new(generator),
        None => forget(&mut flash, &mut keeper, &mut panel),
    };
    // No address yet: nothing is sent before a device says how it wants to get one.
    let config = embassy_net::Config::default();
    let ports = Random::new(&generator).next_u64();
    let (stack, mut runner) = embassy_net::new(network, config, RESOURCES.take(), ports);
    let mut net = Net {
        stack,
        buffers: BUFFERS.take(),
        applied: None,
    };
    let memory = MEMORY.take();
    let mut runner = pin!(runner.run());

    let mut failures = 0_u8;
    loop {
        let began = uptime();
        let parts = Parts {
            name,
            flash: &mut flash,
            wipe,
            generator: &generator,
            keeper: &mut keeper,
            panel: &mut panel,
            log: &mut *log,
            memory: &mut *memory,
        };
        let device = if failures > RELOADS {
            Device::broken(parts, began)
        } else {
            Device::boot(parts, began)
        };
        let device = RefCell::new(device);
        let (wake, round) = (Wake::new(), Cell::new(began));
        let life = select3(
            terminal.serve(&device, &wake),
            net.keep(&device, &wake, &round),
            tick(&device, &round, began),
        );
        let end = match select(life, runner.as_mut()).await {
            embassy_futures::select::Either::First(Either3::Third(end)) => end,
            // The others never end.
            _ => End::Reload,
        };
        let buried = device.into_inner().bury(end);
        match end {
            End::Restart => panel.restart(),
            End::Reset if buried => panel.restart(),
            End::Reset => forget(&mut flash, &mut keeper, &mut panel),
            End::Reload => {}
        }
        failures = match uptime() - began {
            // A fault was shown for a while: one try, and back to it.
            _ if failures > RELOADS => RELOADS,
            LONG.. => 1,
            _ => failures + 1,
        };
    }
}

/// Lamp and watchdog, until the life is over.
async fn tick<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
    device: &RefCell<Device<'_, F, E, K, P>>,
    round: &Cell<u64>,
    began: u64,
) -> End {
    loop {
        let now = uptime();
        {
            let mut device = device.borrow_mut();
            device.shine(now);
            // Not out of habit: the link's loop must have come round.
            if now.saturating_sub(round.get()) < ROUND {
                device.feed();
            }
            let retries = matches!(device.fault(), Some(Fault::Flash | Fault::Keeper));
            if retries && now.saturating_sub(began) >= LONG {
                return End::Reload;
            }
        }
        let end = device.borrow().end();
        match end {
            Some(End::Reload) => return End::Reload,
            Some(end) => {
                Timer::after(FAREWELL).await;
                return end;
            }
            None => Timer::after(TICK).await,
        }
    }
}

/// Waits for noise that passes its tests. `None`: the owner wants a reset.
async fn seed<C: Read + Write, E: Entropy, P: Panel>(
    mut entropy: E,
    terminal: &mut Terminal<C>,
    panel: &mut P,
) -> Option<Generator<E>> {
    loop {
        let sick = match Generator::start(entropy) {
            Ok(generator) => return Some(generator),
            Err((source, sick)) => {
                entropy = source;
                sick
            }
        };
        let mut why = Line::new();
        set(
            &mut why,
            format_args!(
                "no healthy noise: {}; no key is made, nothing is sent",
                sick.text()
            ),
        );
        let mut line = Line::new();
        set(&mut line, format_args!("fault: {why}"));
        terminal.note(&line).await;
        let blink = async {
            loop {
                panel.feed();
                panel.lamp(lamp(Mood::Fault, false, uptime()));
                Timer::after(TICK).await;
            }
        };
        let asked = select(terminal.refuse(&why, NO_NOISE), blink).await;
        if let embassy_futures::select::Either::First(true) = asked {
            return None;
        }
    }
}

/// Whether the button is held from now on for [`RESET_HOLD`].
async fn is_held_long<P: Panel>(panel: &mut P) -> bool {
    let until = Instant::now() + RESET_HOLD;
    while panel.is_held() {
        panel.feed();
        panel.lamp(lamp(Mood::Fault, false, uptime()));
        if Instant::now() >= until {
            return true;
        }
        Timer::after(TICK).await;
    }
    false
}

/// Forgets everything without a store: the key first, and with it what it sealed.
fn forget<F: NorFlash, K: Keeper, P: Panel>(flash: &mut F, keeper: &mut K, panel: &mut P) -> ! {
    keeper.forget();
    let (size, end) = (F::ERASE_SIZE as u32, flash.capacity() as u32);
    for page in (0..end / size).map(|page| page * size) {
        panel.feed();
        // What cannot be erased cannot be read either: its key is gone.
        let _ = flash.erase(page, page + size);
    }
    panel.restart()
}
