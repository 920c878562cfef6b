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
use core::pin::{Pin, pin};

use embassy_futures::select::{Either4, select, select4};
use embassy_net::{Runner, Stack, StackResources};
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
    console::{Command, Desk, Terminal},
    device::{Device, End, Fault, Memory, Parts},
    entropy::{Generator, Random, Sick},
    lamp::{Mood, lamp},
    log::{Cursor, Log},
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

/// Everything a device does, for ever, with the board that `take` gives. To be called once.
///
/// A future, because a board that is handed over would be held twice: where it came from, and in its
/// parts.
pub async fn run<N, F, C, E, K, P>(take: impl Future<Output = Board<N, F, C, E, K, P>>) -> !
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
        mut console,
        entropy,
        mut keeper,
        mut panel,
    } = take.await;
    panel.guard(GUARD);
    let log = LOG.take();
    let mut terminal = Terminal::new(log.oldest());
    if is_held_long(&mut panel).await {
        log.note(
            uptime(),
            format_args!("the button was held: everything is forgotten"),
        );
        forget(&mut flash, &mut keeper, &mut panel);
    }

    let mut source = Some(entropy);
    let mut seeded = None;
    while let Some(sick) = seed(&mut source, &mut seeded, log) {
        let barred = RefCell::new(Barred {
            log: &mut *log,
            sick,
            reset: false,
        });
        let wake = Wake::new();
        let blinks = blink(&mut panel, NO_NOISE);
        select(terminal.serve(&mut console, &barred, &wake), blinks).await;
        if barred.into_inner().reset {
            forget(&mut flash, &mut keeper, &mut panel);
        }
    }
    let Some(generator) = &seeded else {
        panel.restart();
    };

    let (stack, mut runner) = connect(network, RESOURCES.take(), generator);
    let mut net = Net {
        stack,
        buffers: BUFFERS.take(),
        applied: None,
    };
    let memory = MEMORY.take();

    let mut failures = 0_u8;
    loop {
        let began = uptime();
        let parts = Parts {
            name,
            flash: &mut flash,
            wipe,
            generator,
            keeper: &mut keeper,
            panel: &mut panel,
            log: &mut *log,
            memory: &mut *memory,
        };
        let mut slot = None;
        let device = begin(&mut slot, parts, failures <= RELOADS, began);
        let (wake, round) = (Wake::new(), Cell::new(began));
        let end = select4(
            apart(pin!(terminal.serve(&mut console, device, &wake))),
            apart(pin!(net.keep(device, &wake, &round))),
            apart(pin!(tick(device, &round, began))),
            apart(pin!(async { runner.run().await })),
        )
        .await;
        let end = match end {
            Either4::Third(end) => end,
            // The others never end.
            _ => End::Reload,
        };
        let buried = bury(&mut slot, end);
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

/// Behind a pointer, so that no one's stack frame holds the locals of all.
fn apart<'f, T>(
    future: Pin<&'f mut (dyn Future<Output = T> + 'f)>,
) -> Pin<&'f mut (dyn Future<Output = T> + 'f)> {
    future
}

// What follows is apart from `run` so that its moves are not on the stack while the device works.

/// The network's two ends.
#[inline(never)]
fn connect<'d, N: Driver, E>(
    network: N,
    resources: &'d mut StackResources<SOCKETS>,
    generator: &RefCell<Generator<E>>,
) -> (Stack<'d>, Runner<'d, N>) {
    // No address yet: nothing is sent before a device says how it wants to get one.
    let config = embassy_net::Config::default();
    let ports = Random::new(generator).next_u64();
    embassy_net::new(network, config, resources, ports)
}

/// A device in its place.
#[inline(never)]
fn begin<'s, 'a, F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
    slot: &'s mut Option<RefCell<Device<'a, F, E, K, P>>>,
    parts: Parts<'a, F, E, K, P>,
    with_flash: bool,
    now: u64,
) -> &'s RefCell<Device<'a, F, E, K, P>> {
    slot.insert(RefCell::new(if with_flash {
        Device::boot(parts, now)
    } else {
        Device::broken(parts, now)
    }))
}

/// The end of a device. `false`: the flash is to be erased as a whole.
#[inline(never)]
fn bury<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
    slot: &mut Option<RefCell<Device<'_, F, E, K, P>>>,
    end: End,
) -> bool {
    slot.take()
        .is_some_and(|device| device.into_inner().bury(end))
}

/// A generator in its place, from the source. `Some`: the source is sick, and still there.
#[inline(never)]
fn seed<E: Entropy>(
    source: &mut Option<E>,
    place: &mut Option<RefCell<Generator<E>>>,
    log: &mut Log,
) -> Option<Sick> {
    match Generator::start(source.take()?) {
        Ok(generator) => {
            *place = Some(RefCell::new(generator));
            None
        }
        Err((back, sick)) => {
            *source = Some(back);
            let why = sick.text();
            log.note(
                uptime(),
                format_args!("fault: no healthy noise: {why}; no key is made, nothing is sent"),
            );
            Some(sick)
        }
    }
}

/// What stands behind the console while there is no healthy noise: no device.
struct Barred<'a> {
    log: &'a mut Log,
    sick: Sick,
    reset: bool,
}

impl Desk for Barred<'_> {
    fn logged(&self, cursor: &mut Cursor, line: &mut Line) -> bool {
        self.log.next(cursor, line)
    }

    fn oldest(&self) -> Cursor {
        self.log.oldest()
    }

    fn execute(&mut self, _uptime: u64, command: &Command<'_>, reply: &mut Line) {
        match command {
            Command::Reset => {
                self.reset = true;
                set(reply, format_args!("ok everything will be forgotten"));
            }
            Command::Help | Command::Status | Command::Log => set(reply, format_args!("ok")),
            _ => set(
                reply,
                format_args!("error there is no healthy noise: no key can be made"),
            ),
        }
    }

    fn state(&mut self, uptime: u64, at: usize, line: &mut Line) -> bool {
        match at {
            0 => set(line, format_args!("state: fault")),
            1 => set(line, format_args!("noise: sick: {}", self.sick.text())),
            2 => set(line, format_args!("up: {} s", uptime / 1000)),
            _ => return false,
        }
        true
    }

    fn contact(&self, _at: usize, _line: &mut Line) -> bool {
        false
    }

    fn card(&self, line: &mut Line) {
        line.clear();
    }

    fn is_new(&self) -> bool {
        false
    }
}

/// Shows a fault for a while.
async fn blink<P: Panel>(panel: &mut P, patience: Duration) {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        panel.feed();
        panel.lamp(lamp(Mood::Fault, false, uptime()));
        Timer::after(TICK).await;
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
