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
        meter.empty = meter.count(|| ()).1.count;
        // The measure measured: this line must say 2,000,000.
        meter.run("two_million", two_million);
        meter
    }

    /// Runs `operation` once and prints its line.
    pub(crate) fn run<T>(&mut self, name: &str, operation: impl FnOnce() -> T) -> T {
        let (result, cost) = self.count(operation);
        self.print(name, cost);
        result
    }

    /// Prints the line of an operation that was counted.
    pub(crate) fn print(&self, name: &str, cost: Cost) {
        hprintln!("op {} {} {}", name, cost.count - self.empty, cost.depth);
    }

    #[inline(never)]
    pub(crate) fn count<T>(&mut self, operation: impl FnOnce() -> T) -> (T, Cost) {
        stack::paint();
        let top = stack::pointer();
        self.clock.reset();
        compiler_fence(Ordering::SeqCst);
        let result = black_box(call(operation));
        compiler_fence(Ordering::SeqCst);
        let count = self.clock.elapsed();
        let depth = stack::depth(top);
        (result, Cost { count, depth })
    }
}

/// What an operation cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Instructions, an empty operation's included.
    count: u32,
    /// Bytes of stack.
    depth: u32,
}

/// Keeps the operation in a frame of its own, below the measurement's.
#[inline(never)]
fn call<T>(operation: impl FnOnce() -> T) -> T {
    operation()
}
