//! One operation at a time: what it counts and how deep it goes.

use core::{
    hint::black_box,
    sync::atomic::{Ordering, compiler_fence},
};

use cortex_m::Peripherals;
use cortex_m_semihosting::hprintln;

use crate::{clock::Clock, stack};

/// Runs operations and prints what they cost.
pub(crate) struct Meter {
    clock: Clock,
    /// What an empty operation counts.
    empty: u32,
}

/// Two million instructions: a million times a subtraction and a branch.
#[inline(never)]
fn two_million() {
    cortex_m::asm::delay(999_999);
}

impl Meter {
    pub(crate) fn new() -> Self {
        let peripherals = Peripherals::take().expect("taken once");
        let mut meter = Self {
            clock: Clock::start(peripherals.SYST),
            empty: 0,
        };
        (meter.empty, _) = meter.count(|| ()).1;
        // The measure measured: this line must say 2,000,000.
        meter.run("two_million", two_million);
        meter
    }

    /// Runs `operation` once and prints its line.
    pub(crate) fn run<T>(&mut self, name: &str, operation: impl FnOnce() -> T) -> T {
        let (result, (count, depth)) = self.count(operation);
        hprintln!("op {} {} {}", name, count - self.empty, depth);
        result
    }

    #[inline(never)]
    fn count<T>(&mut self, operation: impl FnOnce() -> T) -> (T, (u32, u32)) {
        stack::paint();
        let top = stack::pointer();
        self.clock.reset();
        compiler_fence(Ordering::SeqCst);
        let result = black_box(call(operation));
        compiler_fence(Ordering::SeqCst);
        let count = self.clock.elapsed();
        (result, (count, stack::depth(top)))
    }
}

/// Keeps the operation in a frame of its own, below the measurement's.
#[inline(never)]
fn call<T>(operation: impl FnOnce() -> T) -> T {
    operation()
}
