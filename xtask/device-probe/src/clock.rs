//! Instructions, read from the SysTick timer.
//!
//! With `-icount shift=0` QEMU lets one nanosecond of its clock pass with each instruction. SysTick
//! counts at 25 MHz there, so one tick is 40 instructions, always: a reading is exact to one tick.

use cortex_m::peripheral::{SYST, syst::SystClkSource};

/// Instructions in one tick.
const TICK: u32 = 40;
/// SysTick has 24 bits.
const LAST: u32 = 0x00ff_ffff;

/// The running timer.
pub(crate) struct Clock(SYST);

impl Clock {
    pub(crate) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(LAST);
        timer.enable_counter();
        Self(timer)
    }

    /// Begins at zero. A measurement may last for 671 million instructions, and says so if not.
    pub(crate) fn reset(&mut self) {
        self.0.clear_current();
        // The clear takes effect at the next tick; it also clears the sign of a wrap.
        while SYST::get_current() == 0 {}
    }

    /// Instructions since the reset.
    pub(crate) fn elapsed(&mut self) -> u32 {
        let now = SYST::get_current();
        assert!(!self.0.has_wrapped(), "longer than the timer can count");
        (LAST - now) * TICK
    }
}
