//! `embassy-time` on the machine's two CMSDK timers: one counts for ever, one wakes.

use core::cell::RefCell;

use cortex_m::peripheral::NVIC;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use super::Interrupt;

const COUNTER: Timer = Timer(0x4000_0000 as *mut u32);
const ALARM: Timer = Timer(0x4000_1000 as *mut u32);
/// Cycles in a tick of a microsecond.
const PER_TICK: u64 = 25;
/// The counter goes round every 171 seconds. Somebody looks at it more often than that, because the
/// alarm is never further away, whether anybody waits for it or not.
const LONGEST_TICKS: u64 = 60_000_000;

const ENABLE: u32 = 1;
const INTERRUPT: u32 = 1 << 3;

/// A CMSDK timer: counts down, and begins anew at `reload`.
struct Timer(*mut u32);

// SAFETY: an address of a device; access is ordered by critical sections.
unsafe impl Sync for Timer {}

impl Timer {
    fn register(&self, index: usize) -> *mut u32 {
        self.0.wrapping_add(index)
    }

    fn control(&self, value: u32) {
        // SAFETY: CTRL of a timer that only this file uses.
        unsafe { self.register(0).write_volatile(value) }
    }

    fn value(&self) -> u32 {
        // SAFETY: VALUE; reading it changes nothing.
        unsafe { self.register(1).read_volatile() }
    }

    fn load(&self, value: u32) {
        // SAFETY: VALUE and RELOAD.
        unsafe {
            self.register(2).write_volatile(value);
            self.register(1).write_volatile(value);
        }
    }

    fn clear(&self) {
        // SAFETY: INTCLEAR.
        unsafe { self.register(3).write_volatile(1) }
    }
}

struct Clock {
    state: Mutex<RefCell<State>>,
}

struct State {
    /// Cycles since the start, as last seen.
    cycles: u64,
    queue: Queue,
}

time_driver_impl!(static CLOCK: Clock = Clock {
    state: Mutex::new(RefCell::new(State { cycles: 0, queue: Queue::new() })),
});

impl Clock {
    fn cycles(&self, cs: CriticalSection<'_>) -> u64 {
        let mut state = self.state.borrow_ref_mut(cs);
        // What went by since the last look: right across the end of the counter, too.
        let elapsed = (!COUNTER.value()).wrapping_sub(state.cycles as u32);
        state.cycles += u64::from(elapsed);
        state.cycles
    }

    fn arm(&self, cs: CriticalSection<'_>) {
        loop {
            let now = self.cycles(cs) / PER_TICK;
            let next = self.state.borrow_ref_mut(cs).queue.next_expiration(now);
            let next = next.min(now + LONGEST_TICKS);
            ALARM.control(0);
            ALARM.clear();
            let wait = next.saturating_sub(now).max(1) * PER_TICK;
            ALARM.load(u32::try_from(wait).unwrap_or(u32::MAX));
            ALARM.control(ENABLE | INTERRUPT);
            // What came due while the alarm was set has its turn now.
            if self.cycles(cs) / PER_TICK < next {
                return;
            }
        }
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.cycles(cs)) / PER_TICK
    }

    fn schedule_wake(&self, at: u64, waker: &core::task::Waker) {
        critical_section::with(|cs| {
            let is_sooner = self.state.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if is_sooner {
                self.arm(cs);
            }
        });
    }
}

/// The alarm's handler.
pub(super) fn interrupted() {
    critical_section::with(|cs| CLOCK.arm(cs));
}

/// Starts to count.
pub(super) fn start() {
    COUNTER.load(u32::MAX);
    COUNTER.control(ENABLE);
    critical_section::with(|cs| CLOCK.arm(cs));
    // SAFETY: the handler exists, and everything that it uses is static.
    unsafe { NVIC::unmask(Interrupt::Alarm) };
}
