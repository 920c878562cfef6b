//! The executor: sleeps with `wfi`, which QEMU does, and not with `wfe`, at which it spins.

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw};

/// A task was woken since the last look.
static WOKEN: AtomicBool = AtomicBool::new(false);

#[unsafe(export_name = "__pender")]
fn pend(_context: *mut ()) {
    WOKEN.store(true, Ordering::Relaxed);
}

/// The one of thread mode.
pub(crate) struct Executor(raw::Executor);

impl Executor {
    pub(crate) fn new() -> Self {
        Self(raw::Executor::new(core::ptr::null_mut()))
    }

    /// Runs tasks for ever, beginning with those that `init` spawns.
    pub(crate) fn run(&'static mut self, init: impl FnOnce(Spawner)) -> ! {
        init(self.0.spawner());
        loop {
            // SAFETY: `pend` never calls it, and nobody else does.
            unsafe { self.0.poll() };
            cortex_m::interrupt::disable();
            // An interrupt that comes from here on ends the sleep, and is handled behind it.
            if !WOKEN.swap(false, Ordering::Relaxed) {
                cortex_m::asm::wfi();
            }
            // SAFETY: this is thread mode, and in no critical section.
            unsafe { cortex_m::interrupt::enable() };
        }
    }
}
