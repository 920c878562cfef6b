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

    fn is_pending(&self) -> bool {
        // SAFETY: INTSTATUS; reading it changes nothing.
        unsafe { self.register(3).read_volatile() & 1 != 0 }
    }

    fn clear(&self) {
        // SAFETY: INTCLEAR, at the same place.
        unsafe { self.register(3).write_volatile(1) }
    }
}

struct Clock {
    state: Mutex<RefCell<State>>,
}

struct State {
    /// Times that the counter has gone round.
    rounds: u32,
    queue: Queue,
}

time_driver_impl!(static CLOCK: Clock = Clock {
    state: Mutex::new(RefCell::new(State { rounds: 0, queue: Queue::new() })),
});

impl Clock {
    fn cycles(&self, cs: CriticalSection<'_>) -> u64 {
        let mut state = self.state.borrow_ref_mut(cs);
        let mut value = COUNTER.value();
        if COUNTER.is_pending() {
            // It went round, and its interrupt has to wait for this critical section.
            COUNTER.clear();
            state.rounds += 1;
            value = COUNTER.value();
        }
        u64::from(state.rounds) << 32 | u64::from(u32::MAX - value)
    }

    fn arm(&self, cs: CriticalSection<'_>) {
        loop {
            let now = self.cycles(cs) / PER_TICK;
            let next = self.state.borrow_ref_mut(cs).queue.next_expiration(now);
            ALARM.control(0);
            ALARM.clear();
            if next == u64::MAX {
                return;
            }
            // Further ones are looked at again when the timer has run out.
            let wait = next.saturating_sub(now).clamp(1, 100_000_000) * PER_TICK;
            ALARM.load(u32::try_from(wait).unwrap_or(u32::MAX));
            ALARM.control(ENABLE | INTERRUPT);
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
            let sooner = self.state.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if sooner {
                self.arm(cs);
            }
        });
    }
}

/// Both timers' handler.
pub(super) fn interrupted() {
    critical_section::with(|cs| {
        CLOCK.cycles(cs);
        CLOCK.arm(cs);
    });
}

/// Starts to count.
pub(super) fn start() {
    COUNTER.load(u32::MAX);
    COUNTER.control(ENABLE | INTERRUPT);
    // SAFETY: the handlers exist, and everything that they use is static.
    unsafe {
        NVIC::unmask(Interrupt::Timer0);
        NVIC::unmask(Interrupt::Timer1);
    }
}
